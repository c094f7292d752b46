"""Chief and workers: who a process is, who answers, who lives."""

import socket
import threading

import pytest

from keras_kd.search import workers
from tests.support.processes import free_port


def variables(monkeypatch, **given):
    for name in ("TUNER_ID", "ORACLE_IP", "ORACLE_PORT"):
        monkeypatch.delenv(f"KERASTUNER_{name}", raising=False)
    for name, value in given.items():
        monkeypatch.setenv(f"KERASTUNER_{name}", value)


def test_who_a_process_is(monkeypatch):
    variables(monkeypatch)
    assert workers.worker_config() is None
    variables(monkeypatch, TUNER_ID="chief", ORACLE_IP="10.0.0.1", ORACLE_PORT="8000")
    assert workers.worker_config() == workers.WorkerConfig("chief", ("10.0.0.1", 8000))
    assert workers.worker_config().is_chief
    variables(monkeypatch, TUNER_ID="a", ORACLE_IP="10.0.0.1", ORACLE_PORT="8000")
    assert not workers.worker_config().is_chief
    variables(monkeypatch, TUNER_ID="a")
    with pytest.raises(ValueError, match="Missing: KERASTUNER_ORACLE_IP, KERASTUNER_ORACLE_PORT"):
        workers.worker_config()
    variables(monkeypatch, TUNER_ID="a", ORACLE_IP="x", ORACLE_PORT="99999")
    with pytest.raises(ValueError, match="must be a port from 1 to 65535. Received: '99999'"):
        workers.worker_config()


def test_a_chief_that_does_not_answer_is_one_line_within_seconds():
    own = workers.WorkerConfig("a", ("127.0.0.1", free_port()))
    with pytest.raises(ValueError, match=f"no chief answers at 127.0.0.1:{own.address[1]} within 0.5 s"):
        workers.find_chief(own, patience=0.5)
    with pytest.raises(ValueError, match="there is no host 'nowhere.invalid'"):
        workers.find_chief(workers.WorkerConfig("a", ("nowhere.invalid", 1)), patience=5)


def test_two_chiefs_do_not_share_an_address():
    with socket.create_server(("127.0.0.1", 0)) as server:
        own = workers.WorkerConfig("chief", server.getsockname())
        with pytest.raises(
            ValueError, match=f"127.0.0.1:{own.address[1]} is in use, perhaps by another chief"
        ):
            workers.check_free(own)
    workers.check_free(own)


def test_a_worker_ends_when_its_chief_is_gone_and_says_meanwhile_that_it_lives(monkeypatch):
    monkeypatch.setattr(workers, "BEAT_SECONDS", 0.05)
    asked, ended = threading.Event(), threading.Event()

    class Worker:
        trial = "7"

        class oracle:  # noqa: N801
            @staticmethod
            def get_trial(trial):
                assert trial == "7"
                asked.set()

    server = socket.create_server(("127.0.0.1", 0))
    own = workers.WorkerConfig("a", server.getsockname())
    with workers.Heartbeat(own, Worker, silence=30, end=lambda message, status: ended.set()):
        assert asked.wait(5)
        assert not ended.is_set()
        server.close()
        assert ended.wait(5)
