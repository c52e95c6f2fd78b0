import dataclasses
import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from pipeline import jobs as jobs_module
from pipeline.errors import JobError
from pipeline.jobs import ANYONE, JobTable
from pipeline.kinds import LANES
from pipeline.records import Progress
from pipeline.store import Store

ROOT = Path(__file__).parents[3]
MAX_QUEUED, MAX_QUEUED_EACH = LANES["build"].max_queued, LANES["build"].max_queued_each


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cache")


@pytest.fixture
def jobs(store):
    return JobTable(store)


def submit(jobs, n=0, owner="somebody"):
    return jobs.submit("build", {"seed": n}, owner)


def cancel(jobs, job_id):
    return jobs.cancel(job_id, "somebody")


def test_a_submitted_job_waits_and_is_plain_json(jobs):
    job = submit(jobs)
    assert (job.state, job.kind, job.spec, job.owners) == (
        "queued", "build", {"seed": 0}, ("somebody",),
    )  # fmt: skip
    assert jobs.get(job.id) == job
    assert json.loads(json.dumps(dataclasses.asdict(job)))["spec"] == {"seed": 0}


def test_equal_work_is_one_job_while_it_is_live(jobs):
    first = submit(jobs)
    assert submit(jobs).id == first.id
    jobs.claim("build")
    assert submit(jobs).id == first.id
    jobs.finish(first.id, {})
    assert submit(jobs).id != first.id


def test_other_work_is_another_job(jobs):
    assert submit(jobs, 0).id != submit(jobs, 1).id
    assert submit(jobs, 0).id != jobs.submit("live", {"seed": 0}, "somebody").id


def test_work_that_is_being_cancelled_is_not_joined(jobs):
    first = submit(jobs)
    jobs.claim("build")
    cancel(jobs, first.id)
    assert submit(jobs).id != first.id


def test_a_full_queue_says_how_many_wait(jobs):
    for n in range(MAX_QUEUED):
        submit(jobs, n, owner=f"visitor {n // 10}")
    with pytest.raises(JobError, match=f"{MAX_QUEUED} jobs wait already"):
        submit(jobs, -1)
    assert submit(jobs, 5).spec == {"seed": 5}
    assert len(jobs.list()) == MAX_QUEUED


def test_nobody_fills_the_queue_alone(jobs):
    for n in range(MAX_QUEUED_EACH):
        submit(jobs, n)
    with pytest.raises(JobError, match=f"{MAX_QUEUED_EACH} jobs of yours wait already"):
        submit(jobs, -1)
    assert submit(jobs, -1, owner="another").state == "queued"


def test_a_job_that_two_asked_for_goes_on_until_both_cancelled(jobs):
    job = submit(jobs, owner="one")
    assert submit(jobs, owner="two").id == job.id
    assert jobs.cancel(job.id, "one").state == "queued"
    assert jobs.cancel(job.id, "two").state == "cancelled"


def test_nobody_cancels_the_job_of_another(jobs):
    job = submit(jobs, owner="one")
    with pytest.raises(JobError, match="somebody else asked for this job"):
        jobs.cancel(job.id, "two")
    assert jobs.get(job.id).state == "queued"
    assert jobs.cancel(submit(jobs, 1, owner=ANYONE).id, "two").state == "cancelled"


@pytest.mark.parametrize(
    "change",
    [
        {"colour": "red"},
        {"state": "lost"},
        {"spec": {"seed": 1}},
        {"owners": None},
        {"id": None},
        {"kind": "magic"},
    ],
)
def test_a_row_that_is_no_job_of_this_program_is_left_out(store, jobs, change, caplog):
    job = submit(jobs)
    row = dataclasses.asdict(job) | change
    store.jobs.set(job.id, {k: v for k, v in row.items() if k != "id" or v})
    assert (jobs.get(job.id), jobs.list()) == (None, [])
    assert (jobs.claim("build"), jobs.running("build")) == (None, None)
    assert "is no job of this program" in caplog.text


def test_a_job_that_was_asked_to_stop_is_cancelled_when_its_worker_ends(jobs):
    job = submit(jobs)
    jobs.claim("build")
    cancel(jobs, job.id)
    jobs.interrupt_running("build")
    assert jobs.get(job.id).state == "cancelled"


@pytest.mark.parametrize("job_id", ["", "line-build", "../" + "a" * 29, "A" * 32, "a" * 32 + "\n"])
def test_an_id_is_32_hex_digits(jobs, job_id):
    for ask in (jobs.get, jobs.position, partial(cancel, jobs)):
        with pytest.raises(JobError, match="expected 32 hex digits"):
            ask(job_id)


def test_an_unknown_id_gives_none(jobs):
    assert [ask("a" * 32) for ask in (jobs.get, jobs.position, partial(cancel, jobs))] == [None] * 3


def test_jobs_are_claimed_in_order_one_at_a_time(jobs):
    first, second = submit(jobs, 1), submit(jobs, 2)
    claimed = jobs.claim("build")
    assert (claimed.id, claimed.state) == (first.id, "running")
    assert jobs.running("build") == claimed
    assert jobs.claim("build") is None
    jobs.finish(first.id, {"captures": []})
    assert jobs.claim("build").id == second.id


def test_an_empty_queue_gives_nothing_to_claim(jobs):
    assert jobs.claim("build") is None


def test_one_of_many_claiming_processes_gets_a_job(store, jobs):
    submit(jobs)
    code = (
        "import sys; from pathlib import Path; from pipeline.store import Store;"
        "from pipeline.jobs import JobTable; job = JobTable(Store(Path(sys.argv[1])));"
        "job = job.claim('build'); print(job is not None)"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(store.root)], cwd=ROOT, stdout=subprocess.PIPE
        )
        for _ in range(3)
    ]
    outputs = [child.communicate()[0].strip() for child in children]
    assert sorted(outputs) == [b"False", b"False", b"True"]


def test_position_counts_what_comes_before(jobs):
    ids = [submit(jobs, n).id for n in range(3)]
    jobs.claim("build")
    assert [jobs.position(job_id) for job_id in ids] == [0, 1, 2]
    jobs.finish(ids[0], {})
    assert [jobs.position(job_id) for job_id in ids] == [None, 0, 1]


def test_a_waiting_job_is_cancelled_at_once(jobs):
    job = submit(jobs)
    assert cancel(jobs, job.id).state == "cancelled"
    assert jobs.claim("build") is None


def test_a_running_job_is_only_asked_to_stop(jobs):
    job = submit(jobs)
    jobs.claim("build")
    asked = cancel(jobs, job.id)
    assert asked.state == "running"
    assert time.time() - asked.cancel_s < 5
    assert cancel(jobs, job.id).cancel_s == asked.cancel_s
    jobs.mark_cancelled(job.id)
    assert jobs.get(job.id).state == "cancelled"


def test_a_job_that_ended_cannot_be_cancelled_or_ended_again(jobs):
    job = submit(jobs)
    jobs.claim("build")
    jobs.finish(job.id, {"n": 1})
    assert cancel(jobs, job.id).state == "done"
    jobs.fail(job.id, "too late")
    assert (jobs.get(job.id).state, jobs.get(job.id).result) == ("done", {"n": 1})


def test_progress_is_noted_while_the_job_runs_and_not_after(jobs):
    job = submit(jobs)
    jobs.claim("build")
    updated = jobs.update(job.id, Progress("maps", 3, 72, "L1 H2"), seconds_left=4.5)
    assert jobs.get(job.id) == updated
    assert (updated.stage, updated.done, updated.total) == ("maps", 3, 72)
    assert (updated.message, updated.seconds_left) == ("L1 H2", 4.5)
    jobs.fail(job.id, "no memory")
    jobs.update(job.id, Progress("maps", 72, 72), seconds_left=0)
    ended = jobs.get(job.id)
    assert (ended.done, ended.error, ended.seconds_left) == (3, "no memory", None)


def test_an_update_does_not_undo_a_cancel(jobs):
    job = submit(jobs)
    jobs.claim("build")
    cancel(jobs, job.id)
    assert jobs.update(job.id, Progress("maps", 1, 2), seconds_left=None).cancel_s is not None


def test_a_job_without_a_worker_is_interrupted_and_the_queue_is_kept(jobs):
    first, second = submit(jobs, 1), submit(jobs, 2)
    jobs.claim("build")
    jobs.interrupt_running("build")
    assert jobs.get(first.id).state == "interrupted"
    assert "Start it again" in jobs.get(first.id).error
    assert jobs.claim("build").id == second.id


def test_a_lost_list_of_waiting_jobs_is_made_anew(store, jobs):
    ids = [submit(jobs, n).id for n in range(3)]
    store.jobs.delete("line-build")
    jobs.interrupt_running("build")
    assert [jobs.position(job_id) for job_id in ids] == [0, 1, 2]


def test_jobs_survive_a_restart_of_everything(store, jobs):
    job = submit(jobs)
    assert JobTable(Store(store.root)).list() == [job]


def test_jobs_that_ended_a_week_ago_are_forgotten(jobs, monkeypatch):
    monkeypatch.setattr(jobs_module, "KEEP_ENDED_S", -1.0)
    old = submit(jobs, 1)
    cancel(jobs, old.id)
    assert jobs.get(old.id) is None
    assert [job.spec for job in (submit(jobs, 2), *jobs.list())] == [{"seed": 2}] * 2


def test_a_ruined_table_costs_the_queue_but_not_the_service(store, jobs):
    job = submit(jobs)
    (store.root / "jobs" / "cache.db").write_bytes(b"garbage" * 3000)
    assert jobs.get(job.id) is None
    assert jobs.claim("build") is None
    assert submit(jobs).id == jobs.claim("build").id


def test_a_kind_that_there_is_not_is_refused(jobs):
    with pytest.raises(JobError, match="job kind 'magic': expected one of build, live"):
        jobs.submit("magic", {}, "somebody")


def test_each_lane_is_a_queue_of_its_own(jobs):
    builds, live = [submit(jobs, n).id for n in range(2)], jobs.submit("live", {}, "somebody").id
    assert [jobs.position(job_id) for job_id in (*builds, live)] == [0, 1, 0]
    assert jobs.claim("build").id == builds[0]
    assert jobs.claim("live").id == live
    assert (jobs.running("build").id, jobs.running("live").id) == (builds[0], live)
    jobs.interrupt_running("build")
    assert [jobs.get(job_id).state for job_id in (*builds, live)] == [
        "interrupted", "queued", "running",
    ]  # fmt: skip


def test_a_full_lane_leaves_room_in_the_others(jobs):
    for n in range(MAX_QUEUED):
        submit(jobs, n, owner=f"visitor {n // 10}")
    with pytest.raises(JobError, match="wait already"):
        submit(jobs, -1)
    assert jobs.submit("live", {}, "somebody").state == "queued"


def test_a_table_of_an_older_program_gives_its_jobs_to_their_lane(store, jobs):
    job = submit(jobs)
    store.jobs.set("live", [job.id])  # how it listed all that had not ended
    store.jobs.delete("line-build")
    jobs.interrupt_running("build")
    assert jobs.list() == [job]
    assert jobs.claim("build").id == job.id
