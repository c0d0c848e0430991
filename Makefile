# Everything here works from a fresh checkout: each target first sets up what it needs.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
export PATH := $(CURDIR)/.venv/bin:$(PATH)
LAB := .venv/bin/python -m lab

.PHONY: help setup demo test soak lint lab-up lab-down lab-env

help: ## Show what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | expand -t 12

setup: .venv/ready ## Install the controller's tools into .venv

.venv/ready: pyproject.toml uv.lock tools/setup
	@tools/setup

demo: setup ## Build a swarm on the lab and get a page from it; the lab stays up until `make lab-down`
	@tools/demo

test: setup ## Check everything and run every test, the lab's among them
	@tools/test

soak: setup ## Simulate a hundred thousand stories of keeping a cluster, on all cores
	@SWARM_SCHEDULES=$${SWARM_SCHEDULES:-100000} .venv/bin/python -m pytest tests/simulation/keeping/test_schedules.py

lint: setup ## Check style, types, documentation and Ansible's own rules
	@tools/lint

lab-up: setup ## Start the lab
	@$(LAB) up

lab-down: setup ## Stop the lab and remove all that it made
	@$(LAB) down

lab-env: setup ## Print what points an AWS client and Ansible at the lab: eval "$(make -s lab-env)"
	@$(LAB) env
