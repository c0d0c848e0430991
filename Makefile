# Everything here works from a fresh checkout: each target first sets up what it needs.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Images of Python say that nothing compiled is to be kept; then every command compiles all of Ansible anew.
export PYTHONDONTWRITEBYTECODE :=
LAB := .venv/bin/python -m lab

.PHONY: help setup demo check test test-long bench units soak audit lint docs status instances managers diagnose ssh look lab-up lab-down lab-env

help: ## Show what there is to make
	@grep -hE '^[a-z -]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z -]+):.*## (.*)/\1\t\2/' | expand -t 28

setup: .venv/ready ## Install the controller's tools into .venv

.venv/ready: pyproject.toml uv.lock tools/setup
	@tools/setup

demo: setup ## Build a swarm on the lab and get a page from it; the lab stays up until `make lab-down`
	@tools/demo

check: setup ## Run the linters, the unit tests and the simulations, without a lab
	@tools/check

test: setup ## Run `check`, then the story of one cluster on the lab
	@tools/test

soak: setup ## Simulate a hundred thousand boots and stories of the control plane on all cores, and a quarter as many of a damaged bucket
	@SWARM_SCHEDULES=$${SWARM_SCHEDULES:-100000} .venv/bin/python -m pytest --numprocesses auto tests/simulation/test_schedules.py tests/simulation/test_membership.py tests/simulation/control_plane/test_schedules.py

test-long: setup ## Run the lab's long tests, all of them or PART=upgrade,tls, each part on a lab of its own
	@.venv/bin/python -m tests.lab.parts $(PART)

bench: setup ## Measure the product beside bare commands on a lab of its own; SUBJECT=joining for a part
	@.venv/bin/python -m bench $(SUBJECT)

units: setup ## Run the unit tests by ansible-test units, on all cores
	@tools/units

audit: setup ## Have Prowler judge what stands in the account of a lab, against the exceptions in tools/audit.yml
	@tools/audit

lint: setup ## Check style, types, documentation and Ansible's own rules
	@tools/lint

docs: setup ## Build the documentation site, .build/docs/html
	@tools/docs

status instances managers: setup ## Show the cluster, its instances or its managers; FORMAT=json for programs
	@ansible-playbook playbooks/$@.yml $(if $(FORMAT),-e format=$(FORMAT))

diagnose: setup ## Gather logs, versions and states of all nodes into one archive without secrets
	@ansible-playbook playbooks/diagnose.yml

ssh: setup ## Open a shell on a manager that can act, or on ID=i-…; CMD='…' runs that instead
	@tools/ssh

look: setup ## Show the cluster as it is now on a page that this machine serves; PORT=… for another port
	@.venv/bin/python -m look $(if $(PORT),--port $(PORT))

lab-up: setup ## Start the lab
	@$(LAB) up

lab-down: setup ## Stop the lab and remove all that it made
	@$(LAB) down

lab-env: setup ## Print what points an AWS client and Ansible at the lab: eval "$(make -s lab-env)"
	@$(LAB) env
