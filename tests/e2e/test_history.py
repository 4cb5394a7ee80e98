"""What is owed is decided when an event is accepted: subscriptions change, kills come, it stays.

Random walks over webhooks that are created, re-subscribed, paused, enabled and deleted between
events and kills, beside a model of a few lines that says what each webhook must get.
"""

import os
import random

import pytest
from harness import behaviours
from harness.wait import wait_until

NAMES = ["call.created", "call.answered", "call.ended", "contact.created", "user.opened"]


class Model:
    """One webhook: what it is subscribed to and the ids that it is owed, in order."""

    def __init__(self, path, webhook):
        self.path, self.webhook = path, webhook
        self.events = set(webhook["events"])
        self.owed = []
        self.active = True
        self.alive = True


class Walk:
    def __init__(self, server, company, receiver, seed):
        self.server, self.company, self.receiver = server, company, receiver
        self.random = random.Random(seed)
        self.models = []
        self.steps = []

    def alive(self):
        return [one for one in self.models if one.alive]

    def some(self):
        return self.random.sample(NAMES, self.random.randint(1, 3))

    def post(self):
        events = [{"event": self.random.choice(NAMES), "data": {"id": self.random.randint(1, 4)}}
                  for _ in range(self.random.randint(1, 8))]
        for event, one in zip(events, self.company.post_events(events)):
            for model in self.alive():
                if event["event"] in model.events:
                    model.owed.append(one)

    def create(self):
        if len(self.alive()) < 6:
            path = f"/w{len(self.models)}"
            webhook = self.company.subscribe(self.receiver, path,
                                             self.random.choice([None, self.some()]))
            self.models.append(Model(path, webhook))

    def change(self, model, query="", **fields):
        answer = self.company.put(f"/v1/webhooks/{model.webhook['webhook_id']}{query}",
                                  json=fields)
        assert answer.status_code == 200, answer.text
        updated = answer.json()["webhook"]
        model.events, model.active = set(updated["events"]), updated["active"]
        return updated

    def resubscribe(self):
        model, names = self.random.choice(self.alive()), self.some()
        assert set(self.change(model, events=names)["events"]) == set(names)

    def subscribe_to_all(self):
        model = self.random.choice(self.alive())
        assert len(self.change(model, url=model.webhook["url"])["events"]) > 60

    def add_events(self):
        model = self.random.choice(self.alive())
        self.change(model, "?events_action=add", events=self.some())

    def pause(self):
        model = self.random.choice(self.alive())
        assert not self.change(model, active=False, events=sorted(model.events))["active"]

    def enable(self):
        model = self.random.choice(self.alive())
        assert self.change(model, active=True, events=sorted(model.events))["active"]

    def delete(self):
        if len(self.alive()) > 2:
            model = self.random.choice(self.alive())
            self.company.delete_webhook(model.webhook)
            model.alive = False

    def kill(self):
        self.server.kill()
        self.server.start()

    def stop(self):
        assert self.server.stop() == 0, self.server.tail()
        self.server.start()

    def step(self):
        verbs = [self.post] * 12 + [self.create, self.resubscribe, self.subscribe_to_all,
                                    self.add_events, self.pause, self.pause, self.enable,
                                    self.enable, self.delete]
        verb = self.random.choice(verbs)
        self.steps.append(verb.__name__)
        verb()


def check(walk, model):
    got = walk.receiver.of(model.path)
    for request in got:
        assert 1 <= request.sequence <= len(model.owed), (model.path, request.sequence)
        assert model.owed[request.sequence - 1] == request.id, (model.path, request.sequence)
    if model.alive:
        assert {request.sequence for request in got} == set(range(1, len(model.owed) + 1))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_history(make_server, receiver, seed):
    seed = int(os.environ.get("HOOKSWITCH_SEED", seed))
    receiver.default = behaviours.slow(0.005)
    server = make_server().start()
    walk = Walk(server, server.add_company(), receiver, seed)
    walk.create()
    walk.create()
    for number in range(1, 141):
        walk.step()
        if number % 28 == 0:
            walk.kill()
        elif number % 45 == 0:
            walk.stop()
    print(" ".join(walk.steps))
    for model in walk.alive():
        if not model.active:
            walk.change(model, active=True, events=sorted(model.events))
    walk.post()
    for model in walk.alive():
        wait_until(lambda: receiver.ids(model.path) >= set(model.owed), 30,
                   lambda: f"{model.path}: {len(receiver.ids(model.path))} of {len(model.owed)}")
        walk.company.wait_status(model.webhook, held=0, oldest_owed_at=None)
    for model in walk.models:
        check(walk, model)
    assert receiver.unsigned() == []


def test_a_change_before_a_kill_is_not_applied_to_earlier_events(make_server, receiver):
    """Events wait in a hold, the subscription changes, the server dies: still owed."""
    server = make_server().start()
    company = server.add_company()
    webhook = company.subscribe(receiver, events=["call.created"])
    company.update_webhook(webhook, active=False, events=["call.created"])
    owed = [company.post_event("call.created", {"id": n}) for n in range(5)]
    company.update_webhook(webhook, active=False, events=["call.ended"])
    ignored = company.post_event("call.created", {"id": 9})
    owed.append(company.post_event("call.ended", {"id": 9}))
    server.kill()
    server.start()
    company.update_webhook(webhook, active=True, events=["call.ended"])
    requests = receiver.wait_for(6)
    company.wait_status(webhook, held=0, oldest_owed_at=None)
    assert {request.id for request in requests} == set(owed) and ignored not in owed
    assert sorted(request.sequence for request in receiver.of("/hook")) == [1, 2, 3, 4, 5, 6]


def test_a_webhook_made_after_the_events_gets_none_of_them_after_a_kill(make_server, receiver):
    server = make_server().start()
    company = server.add_company()
    paused = company.subscribe(receiver, "/paused")
    company.update_webhook(paused, active=False)
    early = [company.post_event(data={"id": n}) for n in range(5)]
    company.subscribe(receiver, "/late")
    server.kill()
    server.start()
    company.update_webhook(paused, active=True)
    event = company.post_event()
    wait_until(lambda: receiver.ids("/paused") == {*early, event}, 15)
    receiver.wait_for(1, "/late")
    assert [(r.id, r.sequence) for r in receiver.of("/late")] == [(event, 1)]


def test_a_deleted_webhook_stays_deleted_after_a_kill(make_server, receiver):
    server = make_server().start()
    company = server.add_company()
    gone = company.subscribe(receiver, "/gone")
    company.update_webhook(gone, active=False)
    company.subscribe(receiver, "/here")
    company.post_event()
    company.delete_webhook(gone)
    server.kill()
    server.start()
    event = company.post_event()
    wait_until(lambda: event in receiver.ids("/here"), 15)
    assert receiver.of("/gone") == []
    assert company.get(f"/v1/webhooks/{gone['webhook_id']}").status_code == 404
