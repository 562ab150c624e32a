# Every target makes the environment it needs; the second run only works when something changed.
.DEFAULT_GOAL := help
.PHONY: help demo test test-qgis lint setup bench package install qgis starter judge clean

INPUT ?=
PROFILE ?=
DATA ?= ../shared/data

help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv-light/ready ## land cover, attention and tokens of a simulated scene, or of INPUT=path.tif, in demo/
	@.venv-light/bin/python scripts/demo.py --output demo $(if $(INPUT),--input "$(INPUT)")

test: .venv/ready lint ## lint, types and all tests
	.venv/bin/python -m pytest -q
	@$(MAKE) --no-print-directory test-qgis

test-qgis: .venv/ready ## the plugin's tests alone, in a real QGIS; installs it where that is possible
	@[ -f .venv-qgis/ready ] || sh scripts/make_venv_qgis.sh
	@[ ! -f .venv-qgis/ready ] || SARDINO_PYTHON="$${SARDINO_PYTHON:-$(CURDIR)/.venv/bin/python}" \
	    .venv-qgis/bin/python -m pytest -q --confcutdir=tests/qgis tests/qgis

lint: .venv/ready ## ruff, mypy, and what the plugin repository looks for: bandit, detect-secrets
	.venv/bin/ruff check -q .
	.venv/bin/ruff format -q --check .
	.venv/bin/mypy
	.venv/bin/bandit -q -r sar_dino_qgis sardino_core
	find sar_dino_qgis sardino_core metadata.txt -type f ! -name '*.pyc' -exec .venv/bin/detect-secrets-hook {} +

setup: .venv/ready ## the full environment (with torch) in .venv, for training and development

bench: .venv/ready ## speed and memory, written to docs/benchmarks.md
	.venv/bin/python scripts/bench/bench.py --output docs/benchmarks.md

package: .venv/ready ## the QGIS plugin's zip, in dist/
	@.venv/bin/python scripts/plugin/package_plugin.py

install: .venv/ready ## put the plugin into your QGIS profile, or into PROFILE=folder
	@.venv/bin/python scripts/plugin/install_plugin.py $(if $(PROFILE),--profile "$(PROFILE)")

qgis: .venv/ready ## open QGIS with the plugin and a simulated scene; your own profile is not touched
	@.venv/bin/python scripts/plugin/install_plugin.py --open

starter: .venv/ready ## train the starter model again (hours), DATA=folder with the real tiles; TINY=1 only tries it
	.venv/bin/python scripts/starter/make_starter.py $(if $(shell [ -d "$(DATA)" ] && echo yes),--data "$(DATA)") \
	    $(if $(TINY),--tiny --work build/starter-tiny)

judge: .venv/ready ## judge the starter's recipe on real places that it has not seen, into docs/starter.md
	.venv/bin/python scripts/starter/judge_starter.py --data "$(DATA)" --work build/starter

clean: ## remove environments and everything that was made
	rm -rf .venv .venv-light .venv-qgis build dist demo *.egg-info

.venv/ready: pyproject.toml
	@sh scripts/make_venv.sh .venv torch,explore,demo,test "6 GB, about three minutes: torch is large"
.venv-light/ready: pyproject.toml
	@sh scripts/make_venv.sh .venv-light demo "300 MB, about half a minute"
