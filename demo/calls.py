"""A small call centre: its people, its numbers, and what happens during its calls.

A call is a generator of steps (seconds since the step before, event name, data): the data is the
resource as it stands at that moment, in the shape that phone systems of this kind send. Times
are those of a clock that the caller gives, so a call of four minutes can be played in seconds.
All people and numbers are invented; the numbers are from ranges reserved for fiction.
"""

import copy
import itertools
import random

HOME = "https://api.northwind.example/v1"
PEOPLE = ["Amara Okafor", "Bruno Keller", "Chloe Martin", "Dev Patel", "Elif Demir", "Finn Larsen"]
CALLERS = [("Grace", "Hill", "Hill & Sons"), ("Hugo", "Silva", "Atelier Silva"),
           ("Iris", "Novak", "Novak Optics"), ("Jonas", "Weber", "Weber Logistik"),
           ("Kenji", "Mori", "Mori Trading"), ("Lena", "Olsen", "Fjord Foods")]
NUMBERS = [("Support UK", "+44 20 7946 0108", "GB", "Europe/London"),
           ("Sales FR", "+33 1 99 00 48 10", "FR", "Europe/Paris")]
TAGS = [(310, "callback"), (311, "billing"), (312, "new customer")]
COMMENTS = ["Wants the invoice of October again.", "Will call back on Thursday.",
            "Router replaced, line is fine now."]


class Centre:
    """Hands out calls; ids grow. One generator may be played per thread; next_call is guarded by
    the caller."""

    def __init__(self, clock, seed=1):
        self._clock = clock
        self._random = random.Random(seed)
        self._ids = itertools.count(4001)
        self._contact_ids = itertools.count(9001)
        self.users = [self._user(7001 + i, name) for i, name in enumerate(PEOPLE)]
        self.numbers = [self._number(501 + i, *row) for i, row in enumerate(NUMBERS)]
        self._kinds = itertools.cycle([
            inbound_answered, missed_with_voicemail, outbound, failed_transfer, inbound_answered,
            ivr_then_declined, missed_with_voicemail, inbound_answered, outbound, abandoned])

    def now(self):
        return int(self._clock())

    @staticmethod
    def _user(key, name):
        mail = name.lower().replace(" ", ".") + "@northwind.example"
        return {"id": key, "direct_link": f"{HOME}/users/{key}", "name": name, "email": mail,
                "available": True, "availability_status": "available", "language": "en-US",
                "wrap_up_time": 15}

    @staticmethod
    def _number(key, name, digits, country, zone):
        sounds = ("welcome", "waiting", "ivr", "voicemail", "closed", "callback_later")
        return {"id": key, "direct_link": f"{HOME}/numbers/{key}", "name": name, "digits": digits,
                "country": country, "time_zone": zone, "open": True,
                "availability_status": "custom", "is_ivr": False, "live_recording_activated": True,
                "messages": {one: f"https://media.northwind.example/{key}/{one}.mp3"
                             for one in sounds}}

    def user_data(self, user, available=True):
        """The user as user.* events show it: with the numbers that ring there."""
        state = {"available": available,
                 "availability_status": "available" if available else "unavailable"}
        return {**copy.deepcopy(user), **state, "numbers": copy.deepcopy(self.numbers)}

    def number_data(self, number):
        return {**copy.deepcopy(number), "users": copy.deepcopy(self.users)}

    def new_contact(self, digits):
        first, last, company = self._random.choice(CALLERS)
        key, now = next(self._contact_ids), self.now()
        return {"id": key, "direct_link": f"{HOME}/contacts/{key}", "first_name": first,
                "last_name": last, "company_name": company, "information": "", "is_shared": True,
                "created_at": now, "updated_at": now,
                "emails": [{"id": key * 10, "label": "Work",
                            "value": f"{first}.{last}@customer.example".lower()}],
                "phone_numbers": [{"id": key * 10 + 1, "label": "Mobile", "value": digits}]}

    def opening(self):
        """The morning: numbers open, people become available."""
        for number in self.numbers:
            yield 1, "number.opened", self.number_data(number)
        for user in self.users:
            yield 1, "user.connected", self.user_data(user)
            yield 2, "user.opened", self.user_data(user)

    def next_call(self):
        kind = next(self._kinds)
        return kind(self, Call(self, next(self._ids), self._random.randrange(1 << 30)))


class Call:
    """The state of one call; data() is the resource now."""

    def __init__(self, centre, key, seed):
        self.centre, self.id, self.random = centre, key, random.Random(seed)
        self.agent, self.other = self.random.sample(centre.users, 2)
        self.number = self.random.choice(centre.numbers)
        self.digits = f"+1 202-555-01{self.random.randrange(100):02d}"
        self.contact = None
        self.fields = {
            "id": key, "direct_link": f"{HOME}/calls/{key}",
            "call_uuid": f"CA{self.random.getrandbits(128):032x}", "direction": "inbound",
            "status": "initial", "missed_call_reason": None, "started_at": None,
            "answered_at": None, "ended_at": None, "duration": 0, "cost": "0.0",
            "hangup_cause": None, "voicemail": None, "recording": None, "asset": None,
            "raw_digits": self.digits}
        self.talker = None
        self.extra = {}  # archived, tags, comments, transfers
        self.tags, self.comments = [], []
        self.archived = False

    def data(self):
        """Keys in the usual order; what is not known yet (user, contact) is left out, not null."""
        data = dict(self.fields)
        people = [{"phone_number": self.digits, "type": "external"}]
        if self.talker:
            people.append({"id": self.talker["id"], "name": self.talker["name"], "type": "user"})
        data["participants"] = people
        if self.talker:
            data["user"] = self.talker
        if self.contact:
            data["contact"] = self.contact
        data["number"] = self.number
        data.update(archived=self.archived, teams=[], comments=self.comments, tags=self.tags)
        data.update(self.extra)
        return copy.deepcopy(data)

    def created(self, direction):
        self.fields.update(direction=direction, started_at=self.centre.now())
        if direction == "outbound":
            self.talker = self.agent
        return self.data()

    def ringing(self, agent):
        """Shows the agent who is rung, who is not yet the one who talks."""
        self.talker = agent
        data = self.data()
        self.talker = None
        return data

    def answered(self):
        self.talker = self.agent
        self.fields.update(status="answered", answered_at=self.centre.now())
        return self.data()

    def hungup(self, missed=None):
        now = self.centre.now()
        if missed:
            self.talker = None
        self.fields.update(status="done", ended_at=now, missed_call_reason=missed,
                           duration=now - self.fields["started_at"])
        return self.data()

    def assets(self, kind):
        self.fields[kind] = f"https://media.northwind.example/{kind}/{self.id}.mp3?expires=3600"
        self.fields["asset"] = f"https://assets.northwind.example/calls/{self.id}/{kind}"
        return self.data()

    def tagged(self):
        key, name = self.random.choice(TAGS)
        self.tags.append({"id": key, "name": name, "tagged_by": self.agent,
                          "tagged_at": self.centre.now()})
        return self.data()

    def commented(self):
        self.comments.append({"id": self.id * 10, "content": self.random.choice(COMMENTS),
                              "posted_by": self.agent, "posted_at": self.centre.now()})
        return self.data()

    def about(self, seconds):
        """A duration that varies by a third."""
        return seconds * self.random.uniform(2 / 3, 4 / 3)


def wrap_up(call):
    """After a talk: the agent notes what it was about."""
    centre = call.centre
    yield 1, "user.wut_start", centre.user_data(call.agent, available=False)
    yield call.about(6), "call.tagged", call.tagged()
    yield call.about(5), "call.commented", call.commented()
    yield 4, "user.wut_end", centre.user_data(call.agent)


def inbound_answered(centre, call):
    yield 0, "call.created", call.created("inbound")
    yield 1, "call.ringing_on_agent", call.ringing(call.agent)
    yield call.about(5), "call.answered", call.answered()
    call.contact = centre.new_contact(call.digits)
    yield call.about(15), "contact.created", copy.deepcopy(call.contact)
    yield call.about(20), "call.hold", call.data()
    yield call.about(8), "call.unhold", call.data()
    yield call.about(50), "call.hungup", call.hungup()
    yield from wrap_up(call)
    yield 15, "call.ended", call.data()
    yield 2, "call.comm_assets_generated", call.assets("recording")
    call.contact["information"] = "Called again."
    call.contact["updated_at"] = centre.now()
    yield 3, "contact.updated", copy.deepcopy(call.contact)


def missed_with_voicemail(_centre, call):
    yield 0, "call.created", call.created("inbound")
    for agent in (call.agent, call.other):
        yield 1, "call.ringing_on_agent", call.ringing(agent)
    yield call.about(17), "call.hungup", call.hungup("agents_did_not_answer")
    yield 30, "call.ended", call.assets("voicemail")
    yield 3, "call.voicemail_left", call.data()
    call.extra["assigned_to"] = call.other
    yield call.about(20), "call.assigned", call.data()
    call.archived = True
    yield call.about(10), "call.archived", call.data()


def outbound(_centre, call):
    yield 0, "call.created", call.created("outbound")
    yield call.about(4), "call.answered", call.answered()
    yield call.about(40), "call.hungup", call.hungup()
    yield from wrap_up(call)
    yield 15, "call.ended", call.data()


def failed_transfer(_centre, call):
    yield 0, "call.created", call.created("inbound")
    yield 1, "call.ringing_on_agent", call.ringing(call.agent)
    yield call.about(8), "call.answered", call.answered()
    yield call.about(20), "call.hold", call.data()
    yield call.about(5), "call.unhold", call.data()
    call.extra.update(transferred_to=call.other, transferred_by=call.agent)
    yield call.about(10), "call.unsuccessful_transfer", call.data()
    yield call.about(30), "call.hungup", call.hungup()
    yield from wrap_up(call)
    yield 15, "call.ended", call.data()


def ivr_then_declined(_centre, call):
    yield 0, "call.created", call.created("inbound")
    call.extra["ivr_options_selected"] = [{"id": 1, "title": "Support", "key": "2",
                                           "branch": "support", "created_at": call.centre.now()}]
    yield call.about(6), "call.ivr_option_selected", call.data()
    yield 1, "call.ringing_on_agent", call.ringing(call.other)
    yield call.about(3), "call.agent_declined", call.ringing(call.other)
    yield 1, "call.ringing_on_agent", call.ringing(call.agent)
    yield call.about(4), "call.answered", call.answered()
    yield call.about(45), "call.hungup", call.hungup()
    yield from wrap_up(call)
    yield 15, "call.ended", call.data()


def abandoned(_centre, call):
    yield 0, "call.created", call.created("inbound")
    yield 1, "call.ringing_on_agent", call.ringing(call.agent)
    yield call.about(4), "call.hungup", call.hungup("short_abandoned")
    yield 30, "call.ended", call.data()
