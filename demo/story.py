"""The three acts: a normal morning; a receiver breaks; the server is killed and nothing is lost."""

import threading
import time

import certs
from api import Api
from books import Books
from calls import Centre
from player import Clock, Player
from receiver import Receiver
from screen import span
from server import Server

LINES = 6      # simultaneous calls
SPEED = 45     # seconds of a call in one second
ACT_ONE_S = 7
REFUSALS = 6   # the broken receiver answers 503 so often, then hangs
BOARD = {"call.created", "call.ringing_on_agent", "call.agent_declined", "call.answered",
         "call.hold", "call.unhold", "call.unsuccessful_transfer", "call.hungup"}
BILLING = {"call.ended", "call.voicemail_left", "call.comm_assets_generated"}


class Failed(Exception):
    """The round cannot go on."""


class Story:
    def __init__(self, binary, folder, screen):
        self.screen, self._folder = screen, folder
        self.server = Server(binary, folder)
        self.books = Books(screen)
        self.receivers, self.api, self._player, self._centre = [], None, None, None
        self._clock = Clock(time.time() - 3600)
        self._good = True
        self.staying = False
        self._marks = []  # when the acts began

    def close(self):
        if self._player:
            self._player.abort()
        self.server.stop()
        for receiver in self.receivers:
            receiver.stop()

    def play(self):
        """The whole round; True when every check passed."""
        try:
            self._open()
            self._act_one()
            self._act_two()
            self._act_three()
        except (RuntimeError, OSError, KeyError) as error:
            raise Failed(f"{type(error).__name__}: {error}") from error
        return self._ledger()

    # -- helpers

    def _check(self, good, text):
        self.screen.check(good, text)
        self._good = self._good and good

    def _wait(self, what, predicate, seconds, pause=0.05):
        """Until predicate() is true; fails when it takes too long or something broke meanwhile."""
        deadline = time.monotonic() + seconds
        while not (found := predicate()):
            if self.books.troubles:
                raise Failed(self.books.troubles[0])
            if not self.server.alive():
                raise Failed("the server ended by itself")
            if time.monotonic() > deadline:
                raise Failed(f"waited {seconds} s in vain for this: {what}")
            time.sleep(pause)
        return found

    def _mark(self):
        self._marks.append(time.monotonic())
        return self._marks[-1]

    def _arrived(self, receivers):
        return all(self.books.owed(one) <= self.books.delivered(one) for one in receivers)

    @property
    def _crm(self):
        return self.receivers[0]

    @property
    def _others(self):
        return self.receivers[1:]

    def explain(self):
        """After a failure: what each webhook has and what the server says about it."""
        for one in self.receivers:
            owed, delivered = self.books.owed(one), self.books.delivered(one)
            try:
                says = self.api.status(one.webhook_id)["ledger"]
            except Exception as error:  # whatever broke the round may break this too
                says = f"no answer: {error}"
            self.screen.say(f"{one.name}: {len(owed)} accepted, {len(delivered & owed)} delivered; "
                            f"the server says: {says}")
        self.screen.say(self.server.log_tail(), wrap=False)

    # -- the acts

    def _open(self):
        screen = self.screen
        screen.title("Hookswitch demo")
        authority, cert, key = certs.make(self._folder)
        self.server.trust(authority)
        took = self.server.start()
        screen.say(f"The server answers at {self.server.url} (pid {self.server.pid}), "
                   f"{span(took)} after its start.")
        self.api = Api(self.server.url, *self.server.company_add("Northwind Telecom"))
        screen.say('A company was made with: hookswitch company add "Northwind Telecom"')
        rows = (("crm", "magenta", "every event", None),
                ("board", "blue", "what calls do just now", BOARD),
                ("billing", "yellow", "calls that are over", BILLING))
        for name, colour, purpose, events in rows:
            receiver = Receiver(name, colour, purpose, events, cert, key, self.books)
            self.receivers.append(receiver)
            receiver.start()
            webhook = self.api.create_webhook(receiver.url, name, events)
            receiver.webhook_id, receiver.token = webhook["webhook_id"], webhook["token"]
            receiver.secret = self.api.secret(receiver.webhook_id)
        screen.say("Three HTTPS receivers, registered by POST /v1/webhooks:")
        for one in self.receivers:
            screen.say(f"  {screen.paint(f'{one.name:<8}', one.colour)} {one.url:<38} "
                       f"{one.purpose}", wrap=False)
        self._centre = Centre(self._clock)

    def _act_one(self):
        self.screen.title("Act 1: a morning in a small call centre")
        self.screen.say(
            "Each event is printed when it is accepted, each delivery when a receiver has it: "
            "#sequence of the webhook, answer, time since the post; \"signed\" = the receiver "
            "verified the Standard Webhooks signature and the token in the body.")
        self._mark()
        self._clock.run(SPEED)
        opening = Player(self._centre, self.api, self.books, 0, SPEED * 2)
        opening.play(self._centre.opening())
        self._player = Player(self._centre, self.api, self.books, LINES, SPEED).start()
        until = time.monotonic() + ACT_ONE_S
        self._wait("the end of act 1", lambda: time.monotonic() > until, ACT_ONE_S + 5)
        self._wait("a first delivery at each receiver",
                   lambda: all(self.books.delivered(one) for one in self.receivers), 10)

    def _act_two(self):
        screen, crm = self.screen, self._crm
        screen.title("Act 2: the crm breaks; the others do not notice")
        screen.say(f"It answers {REFUSALS} requests with 503, then hangs. Ten failed requests in "
                   "a row switch a webhook off: only this one, with reasons.")
        began = self._mark()
        crm.break_down(REFUSALS)
        self._wait("the crm's webhook is switched off",
                   lambda: not self.api.status(crm.webhook_id)["active"], 25, pause=0.2)
        off = time.monotonic()
        # What was accepted up to now must reach the others without waiting for anybody.
        owed = {one.name: self.books.owed(one) for one in self._others}
        self._wait("the others have everything that was accepted meanwhile",
                   lambda: all(owed[one.name] <= self.books.delivered(one)
                               for one in self._others), 10)
        states = {one.name: self.api.status(one.webhook_id) for one in self.receivers}
        screen.say(f"\nSwitched off after {span(off - began)}. The ledger of the webhook says:",
                   "bold")
        screen.quote(states["crm"]["ledger"])
        screen.say("The three webhooks at this moment (median time from post to receiver, "
                   "before and during the breakdown):")
        self._states(states, self._marks[0], began, off)
        self._check(states["crm"]["active"] is False and states["crm"]["held"] > 0,
                    f"crm: switched off, {states['crm']['held']} events held for it")
        for one in self._others:
            state = states[one.name]
            late = self.books.latencies(one, began, off)
            self._check(state["active"] is True and state["failures"] == 0 and bool(late),
                        f"{one.name}: active, no failure; {len(late)} events came meanwhile, "
                        f"the slowest after {span(late[-1] if late else None)}")

    def _states(self, states, start, began, off):
        rows = []
        for one in self.receivers:
            state = states[one.name]
            before = self.books.latencies(one, start, began)
            during = self.books.latencies(one, began, off) if one is not self._crm else []
            rows.append([one.name, "yes" if state["active"] else "NO",
                         str(len(self.books.delivered(one))),
                         span(before[len(before) // 2]) if before else "-",
                         span(during[len(during) // 2]) if during else "-",
                         f"{state['failures']} of {state['threshold']}", str(state["held"])])
        self.screen.table(["webhook", "active", "delivered", "before", "during", "failures",
                           "held"], rows)

    def _act_three(self):
        screen, crm = self.screen, self._crm
        screen.title("Act 3: kill -9, and everything is still there")
        self._mark()
        more = self.books.count() + 25
        self._wait("more calls", lambda: self.books.count() >= more, 15)
        held = self.api.status(crm.webhook_id)["held"]
        self._kill_and_restart()
        state = self.api.status(crm.webhook_id)
        self._check(state["active"] is False and state["held"] >= held,
                    f"crm: still switched off, {state['held']} events held (at least {held})")
        self._player.finish()
        self._wait("the calls come to their end", lambda: not self._player.running(), 40)
        self._wait("the others have everything", lambda: self._arrived(self._others), 20)
        waiting = len(self.books.owed(crm) - self.books.delivered(crm))
        screen.say(f"\nThe crm is repaired; {waiting} events wait for it. The documented PUT "
                   "enables it:", "bold")
        screen.command(f'PUT /v1/webhooks/{crm.webhook_id} {{"active":true}}')
        crm.repair()
        began = time.monotonic()
        self._check(self.api.enable(crm.webhook_id)["active"] is True, "crm: active again")
        self._wait("the held events arrive", lambda: self._arrived([crm]), 25)
        took = time.monotonic() - began
        self._check(True, f"crm: {waiting} held events delivered in {span(took)}")

    def _kill_and_restart(self):
        screen, pid = self.screen, self.server.pid
        before = self.books.count()
        screen.say(f"\nkill -9 {pid}, in the middle of the calls. The call centre goes on and "
                   "repeats what is not answered, under the same Idempotency-Key.", "bold")
        self.server.kill()
        time.sleep(1.0)  # long enough to see producers that get no answer
        took = self.server.start()
        self.api.move(self.server.url)
        screen.say(f"Started again on the same directory, pid {self.server.pid}: answers after "
                   f"{span(took)}.", "bold")
        self._wait("events are accepted again", lambda: self.books.count() > before, 15)

    def _settled(self):
        """The server's own books: nothing owed to anybody, results included."""
        states = [self.api.status(one.webhook_id) for one in self.receivers]
        return all(one["active"] and not one["held"] and not one["oldest_owed_at"]
                   and one["failures"] == 0 for one in states)

    def _ledger(self):
        screen = self.screen
        self._wait("the server has noted every result", self._settled, 15, pause=0.2)
        screen.title("The ledger: accepted = delivered")
        rows, verdicts = [], []
        for one in self.receivers:
            owed, delivered = self.books.owed(one), self.books.delivered(one)
            faults, twice = self.books.audit(one)
            requests = self.books.arrivals(one)
            rows.append([one.name, str(len(owed)), str(len(delivered)), f"1..{len(owed)}",
                         str(len(requests)), str(twice)])
            verdicts.append((one, owed, faults))
        screen.table(["webhook", "accepted", "delivered", "sequences", "requests", "twice"], rows)
        screen.say(f"{self.books.count()} events accepted; {self.books.repeated} requests were "
                   "repeated after the kill, none counted twice. \"twice\" = delivered again "
                   "because the kill came before the result was on disk: at least once, with the "
                   "same webhook-id.")
        for one, owed, faults in verdicts:
            text = "; ".join(faults) or (f"{len(owed)} accepted = delivered, sequences without "
                                         "a gap, each call in order, every signature right")
            self._check(not faults and bool(owed), f"{one.name}: {text}")
        self._check(not self.books.troubles, "; ".join(self.books.troubles)
                    or "no event was given up by the call centre")
        return self._good

    # -- afterwards

    def stay(self):
        """Says what to try, and plays a slow trickle of calls until Ctrl-C."""
        screen = self.screen
        screen.title("Your turn")
        screen.say("These three lines first; the others use them:")
        screen.command(f"A={self.api.credentials}")
        screen.command(f"V={self.api.url}/v1")
        screen.command(f"W=$V/webhooks/{self._crm.webhook_id}")
        for text, line in (
                ("The webhooks:", "$V/webhooks"),
                ("How the crm is, and its last deliveries:", "$W/status"),
                (None, '"$W/deliveries?limit=5"'),
                ("One that failed first, with every attempt:", self._failed_delivery()),
                ("An event of your own:", """--json '{"event":"call.created","data":{"id":1}}' """
                                          "$V/events"),
                ("Switch the crm off by hand (and on again with true):",
                 "-X PUT --json '{\"active\":false}' $W"),
                ("What receivers can subscribe to:", "$V/event_types")):
            if text:
                screen.say(text)
            if line:
                screen.command(f"curl -su $A {line}")
        screen.say("Without credentials, in a browser too:")
        for path in ("/metrics", "/healthz", "/readyz"):
            screen.command(f"{self.api.url}{path}")
        screen.say(f"Data: {self.server.data} (goes when the demo ends).\n"
                   "A few calls go on below. Ctrl-C ends everything.\n")
        self.staying = True
        self.books.strangers_after_s = 0.5
        self._clock.run(10)
        self._player = Player(self._centre, self.api, self.books, 1, 10, pause_s=6).start()
        while True:
            threading.Event().wait(0.5)
            if self.books.troubles:
                raise Failed(self.books.troubles[0])
            if not self.server.alive():
                raise Failed("the server ended by itself")

    def _failed_delivery(self):
        """A delivery of act 2 whose first attempt failed, as a curl argument; None = not found."""
        bad = {one.event_id for one in self.books.arrivals(self._crm) if one.answer == 503}
        path, before = f"/v1/webhooks/{self._crm.webhook_id}/deliveries?limit=200", ""
        while before is not None:
            page = self.api.wanted(200, "GET", path + before)
            for one in page["deliveries"]:
                if one["event_id"] in bad:
                    return f"$V/deliveries/{one['id']}"
            before = f"&before={page['next']}" if page["next"] else None
        return None
