"""Puts the dashboard of a real cache folder together: store, worker, service, app."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from dash import Dash
from threadpoolctl import threadpool_limits

from app.main import create_app
from app.settings import Settings, check_exposure
from app.view_state import ViewState
from pipeline.jobs import ANYONE, JobTable
from pipeline.service import Service
from pipeline.specs import AtlasSpec
from pipeline.store import Store
from pipeline.supervisor import Supervisor

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Dashboard:
    """A dashboard with what it has started."""

    app: Dash
    supervisor: Supervisor


def build_dashboard(settings: Settings, *, stands_by: bool = False) -> Dashboard:
    """Open the cache folder, start the worker and build the app.

    Parameters
    ----------
    stands_by : whether a supervisor runs as a program of its own; ours then only replaces it.

    Raises
    ------
    SettingsError
        if it would be reachable without a password.
    StoreError
        if the cache folder cannot be used.
    """
    check_exposure(settings)
    use_one_core_an_answer()
    store = Store(settings.cache)
    service = Service(store, JobTable(store), hub_cache=settings.hub_cache)
    supervisor = Supervisor(store, stands_by=stands_by)
    app = create_app(settings, service, is_ready=supervisor.alive)
    if settings.build_sample:
        _build_sample(service)
    supervisor.start()
    return Dashboard(app, supervisor)


def use_one_core_an_answer() -> None:
    """Let NumPy multiply small matrices without threads of its own.

    Several answers are computed at once. Measured on two busy cores, the weights of 144 heads at
    128 tokens: 0.1 s of processor time on one thread, 1.3 s on threads that wait for each other.
    """
    threadpool_limits(1, user_api="blas")


def _build_sample(service: Service) -> None:
    """Queue the atlas that the first page shows; what is stored already costs nothing."""
    first = ViewState()
    spec = AtlasSpec(first.model, first.corpus, normalisation=first.normalisation)
    job = service.builds.start(spec, owner=ANYONE)
    logger.info("sample atlas: job %s", job.id)
