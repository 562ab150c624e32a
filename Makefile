# Every target makes the environment it needs; the second run only works when something changed.
.DEFAULT_GOAL := help
.PHONY: help demo test lint setup bench starter clean

INPUT ?=
DATA ?= ../shared/data

help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv-light/ready ## land cover, attention and tokens of a simulated scene, or of INPUT=path.tif, in demo/
	@.venv-light/bin/python scripts/demo.py --output demo $(if $(INPUT),--input "$(INPUT)")

test: .venv/ready lint ## lint, types and all tests
	.venv/bin/python -m pytest -q

lint: .venv/ready ## ruff and mypy
	.venv/bin/ruff check -q .
	.venv/bin/ruff format -q --check .
	.venv/bin/mypy

setup: .venv/ready ## the full environment (with torch) in .venv, for training and development

bench: .venv/ready ## speed and memory, written to docs/benchmarks.md
	.venv/bin/python scripts/bench.py --output docs/benchmarks.md

starter: .venv/ready ## train the starter model again (about half an hour); DATA=folder with the real tiles
	.venv/bin/python scripts/make_starter.py --data "$(DATA)" --work build/starter

clean: ## remove environments and everything that was made
	rm -rf .venv .venv-light .venv-qgis build dist demo *.egg-info

.venv/ready: pyproject.toml
	@sh scripts/make_venv.sh .venv torch,explore,demo,test "6 GB, about three minutes: torch is large"
.venv-light/ready: pyproject.toml
	@sh scripts/make_venv.sh .venv-light demo "300 MB, about half a minute"
