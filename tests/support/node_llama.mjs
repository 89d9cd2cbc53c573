// node node_llama.mjs FILE < questions.json: log probabilities and tokens by llama.cpp, whose prebuilt binaries come with
// the npm package node-llama-cpp; NODE_LLAMA_CPP is the folder that it was installed in
import fs from "fs";
const {getLlama, LlamaLogLevel} = await import(`${process.env.NODE_LLAMA_CPP}/node_modules/node-llama-cpp/dist/index.js`);
const [,, file] = process.argv;
const asked = JSON.parse(fs.readFileSync(0, "utf8"));
const llama = await getLlama({gpu: false, build: "never", logLevel: LlamaLogLevel.error, maxThreads: 1});
const model = await llama.loadModel({modelPath: file});
const context = await model.createContext({contextSize: asked.context ?? 64, sequences: 1});
const sequence = context.getSequence();
const out = {logprobs: [], tokens: []};
for (const ids of asked.texts) {
  await sequence.clearHistory();
  const items = ids.map((id) => [id, {generateNext: {probabilities: true}}]);
  const answers = await sequence.controlledEvaluate(items);
  out.logprobs.push(ids.slice(1).map((id, n) => Math.log(answers[n].next.probabilities.get(id) ?? 0)));
}
for (const text of asked.words ?? []) out.tokens.push(model.tokenize(text, asked.special ?? false));
console.log(JSON.stringify(out));
await model.dispose(); process.exit(0);
