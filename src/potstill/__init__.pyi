from potstill.engine.context import Context as Context
from potstill.engine.encoding import File as File
from potstill.engine.pipeline import Pipeline as Pipeline
from potstill.engine.records import Run as Run
from potstill.engine.step import Anything as Anything
from potstill.engine.step import Estimate as Estimate
from potstill.engine.step import Metrics as Metrics
from potstill.engine.step import Output as Output
from potstill.engine.step import Rows as Rows
from potstill.engine.step import RowsOutput as RowsOutput
from potstill.engine.step import Step as Step
from potstill.errors import BadInput as BadInput
from potstill.errors import PotstillError as PotstillError
from potstill.errors import RequestError as RequestError
from potstill.errors import StepFailed as StepFailed
from potstill.models.edge import Model as Model
from potstill.models.embedding_similarity import EmbeddingSimilarity as EmbeddingSimilarity
from potstill.teachers.ensemble import Ensemble as Ensemble
from potstill.teachers.openai.budget import Price as Price
from potstill.teachers.openai.endpoint import Endpoint as Endpoint
from potstill.teachers.openai.pool import Pool as Pool
from potstill.teachers.protocol import Structured as Structured
from potstill.teachers.transformers import Transformers as Transformers
from potstill.teachers.vllm.settings import Speculative as Speculative
from potstill.teachers.vllm.teacher import VLLM as VLLM

__version__: str
