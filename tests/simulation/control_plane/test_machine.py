"""Hypothesis searches for a story that breaks an invariant, and reports the shortest."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from .faults import ALL, Fault
from .simulated_cluster import SimCluster
from .weather import Weather

RATES = st.sampled_from((0.0, 0.0, 0.05, 0.3))
FAULTS = sorted(set(ALL), key=lambda fault: fault.__name__)


class Keeping(RuleBasedStateMachine):
    """A cluster with any fault at any time, which must converge at the end."""

    world: SimCluster | None = None

    @initialize(
        seed=st.integers(0, 2**32),
        weather=st.builds(
            Weather,
            managers=st.sampled_from((1, 3, 5)),
            workers=st.integers(0, 2),
            refuse=RATES,
            stall=st.sampled_from((0.0, 0.1)),
            lose_reply=RATES,
            delay_write=RATES,
            stale=RATES,
            lose_message=st.sampled_from((0.0, 0.3, 1.0)),
            double_message=RATES,
            slow_message=RATES,
            crash=RATES,
            freeze=st.sampled_from((0.0, 0.05)),
            skew=st.sampled_from((0.0, 0.5)),
            reuse_addresses=st.booleans(),
        ),
    )
    def form(self, seed: int, weather: Weather) -> None:
        self.world = SimCluster(seed, weather)

    @rule(fault=st.sampled_from(FAULTS))
    def suffer(self, fault: Fault) -> None:
        self.world.suffer(fault)

    @rule(seconds=st.sampled_from((0.1, 1.0, 5.0, 30.0)))
    def wait(self, seconds: float) -> None:
        self.world.run(seconds)

    @precondition(lambda self: self.world is not None)
    @invariant()
    def holds(self) -> None:
        """The simulation checks every effect; this checks the moments between them."""
        self.world.changed()

    def teardown(self) -> None:
        if self.world is not None:
            try:
                self.world.settle()
            finally:
                self.world.end()


TestKeeping = Keeping.TestCase
TestKeeping.settings = settings(
    max_examples=600,
    stateful_step_count=12,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
