# Each target sets up .venv by itself where it is missing or stale. Recipes keep to POSIX sh and make 3.81.

EXP ?=
ARGS ?=
TOPOLOGY ?=
PYTHON ?=
EXTRAS ?=
export PYTHON

python := .venv/bin/python
bin := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help run-experiment test verify gallery bench tpu-check parity shell notebooks data lint versions clean .venv .venv-peers .venv-tpu-check

##@ Experiments
run-experiment: .venv ## every experiment, its quick preset; with EXP=name that one, as ARGS say
	@$(python) -m experiments $(or $(EXP),--all) $(ARGS)

run-experiment-%: .venv ## the same as EXP=name: make run-experiment-kalman
	@$(python) -m experiments $* $(ARGS)

data: .venv ## fetch the real data sets
	@$(python) -m experiments.data $(ARGS)

bench: .venv .venv-peers ## the same work here and in the libraries people use today, side by side
	@$(python) -m experiments.benchmarks $(ARGS)

##@ Proofs
verify: .venv ## each closed form against what it must equal, in float64 and float32
	@$(python) -m experiments.verify $(ARGS)

test: .venv ## every test and doctest, on all cores
	@$(python) -m pytest -n auto --dist worksteal $(ARGS)

lint: .venv ## style, types, and who may import whom
	@$(bin)/ruff check .
	@$(bin)/pyright --pythonpath $(python)
	@$(bin)/lint-imports

##@ Other machines
tpu-check: .venv-tpu-check ## every loss and training chunk compiled for TPUs, without one
	@.venv-tpu-check/bin/python -m experiments.porting $(if $(TOPOLOGY),--topology $(TOPOLOGY)) $(ARGS)

parity: .venv ## every loss and gradient on the accelerator that is here, beside the CPU
	@$(python) -m experiments.porting.parity $(ARGS)

##@ Desk
gallery: .venv ## every run on one page, to look at and to compare: runs/gallery/index.html
	@$(python) -m experiments.gallery $(ARGS)

shell: .venv ## IPython with everything at hand: arrays, the seven applications, the experiments
	@$(python) -m experiments.desk $(ARGS)

notebooks: .venv ## a notebook of each experiment, made of its code: runs/notebooks
	@$(python) -m experiments.desk.notebooks $(ARGS)

versions: ## test newer versions: write the newest of all to .ci/, for PYTHON
	@.ci/versions

clean: ## remove environments and caches; runs and data stay
	rm -rf .venv .venv-* build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find sandbox experiments tests -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## this page
	@awk -v color="$$(test -t 1 && test -z "$$NO_COLOR" && echo 1)" "$$PAGE" $(firstword $(MAKEFILE_LIST))

define PAGE
BEGIN {
  FS = ":.*## "
  if (color) { bold = "\033[1m"; cyan = "\033[36m"; plain = "\033[0m" }
  print "\nSeven objectives of machine learning in JAX: their calculus proven, their experiments run."
}
/^##@ / { title(substr($$0, 5)) }
/^[a-z%-]+:.*## / { sub("%", "NAME", $$1); row("make " $$1, $$2) }
END {
  title("Variables")
  row("EXP=kalman", "the experiment to run")
  row("ARGS=\"--seed 3\"", "flags for whatever runs; ARGS=--help lists them")
  row("TOPOLOGY=v5e:4x4", "the TPUs of tpu-check: v4, v5e, v5p or v6e, and how they are laid out")
  row("PYTHON=python3.12", "the interpreter that .venv is made with; python3 if none is named")
  row("EXTRAS=cuda", "jax for an accelerator: cuda, cuda12 or tpu; .venv remembers it")
  print ""
}
function title(text) { printf "\n%s%s%s\n", bold, text, plain }
function row(name, text) { printf "  %s%-26s%s%s\n", cyan, name, plain, text }
endef
export PAGE

.venv:
	@.ci/venv $@ dev $(EXTRAS)

.venv-peers:
	@.ci/venv $@ peers $(EXTRAS)

.venv-tpu-check:
	@.ci/venv $@ tpu-check
