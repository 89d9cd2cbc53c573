"""How a plan is carried out: in which process, with which code, and what outlives a step."""
