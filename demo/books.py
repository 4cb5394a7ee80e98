"""The demo's own books: what was accepted, what arrived where, and whether the two agree.

They are kept apart from the server's on purpose: the final ledger compares them. One lock guards
everything; a delivery is shown only after the event it belongs to, whose 202 it may overtake.
"""

import collections
import threading
import time


def subject(data, event):
    return f"{event.split('.')[0]} {data.get('id', '-')}"


class Accepted:
    __slots__ = ("name", "subject", "posted")

    def __init__(self, name, about, posted):
        self.name, self.subject, self.posted = name, about, posted


class Arrival:
    __slots__ = ("at", "event_id", "name", "subject", "sequence", "attempt", "answer", "seal")

    def __init__(self, headers, document, answer, seal):
        self.at = time.monotonic()
        self.event_id = headers.get("webhook-id")
        self.name = document["event"]
        self.subject = subject(document["data"], self.name)
        self.sequence = int(headers.get("hookswitch-sequence", "0"))
        self.attempt = int(headers.get("hookswitch-attempt", "0"))
        self.answer = answer  # status, None = hangs
        self.seal = seal


class Books:
    def __init__(self, screen):
        self._screen = screen
        self._lock = threading.RLock()
        self._accepted = {}
        self._unpaired = collections.defaultdict(list)  # event id -> arrivals before the 202
        self._arrivals = collections.defaultdict(list)  # receiver's name -> arrivals in order
        self.strangers_after_s = None  # show deliveries of events that others posted after so long
        self.repeated = 0  # requests that had to be sent again
        self.troubles = []

    # -- entries, from any thread

    def trouble(self, text):
        with self._lock:
            self.troubles.append(text)

    def unanswered(self, event, data):
        with self._lock:
            self.repeated += 1
            self._screen.event(event, subject(data, event), "no answer, tries again", good=False)

    def accepted(self, event_id, event, data, posted, again):
        with self._lock:
            entry = Accepted(event, subject(data, event), posted)
            self._accepted[event_id] = entry
            self._screen.event(event, entry.subject,
                               f"accepted ..{event_id[-6:]}" + (" now" if again else ""))
            for receiver, arrival in self._unpaired.pop(event_id, ()):
                self._show(receiver, arrival, entry)

    def arrived(self, receiver, headers, document, answer, seal):
        arrival = Arrival(headers, document, answer, seal)
        with self._lock:
            self._arrivals[receiver.name].append(arrival)
            if seal != "signed":
                self.troubles.append(f"{receiver.name} got {arrival.name} with a wrong "
                                     + ("signature" if seal == "BADSIG" else "token"))
            entry = self._accepted.get(arrival.event_id)
            if entry is None:
                self._unpaired[arrival.event_id].append((receiver, arrival))
                if self.strangers_after_s is not None:
                    timer = threading.Timer(self.strangers_after_s, self._stranger,
                                            (arrival.event_id,))
                    timer.daemon = True
                    timer.start()
            else:
                self._show(receiver, arrival, entry)

    def _stranger(self, event_id):
        """An event whose 202 went to somebody else."""
        with self._lock:
            for receiver, arrival in self._unpaired.pop(event_id, ()):
                self._show(receiver, arrival, None)

    def _show(self, receiver, arrival, entry):
        answer = "hangs" if arrival.answer is None else str(arrival.answer)
        self._screen.delivery(receiver, arrival.name, arrival.subject, arrival.sequence, answer,
                              arrival.at - entry.posted if entry else None, arrival.seal)

    # -- figures

    def count(self):
        with self._lock:
            return len(self._accepted)

    def owed(self, receiver):
        """The ids of the accepted events that the receiver subscribed to."""
        with self._lock:
            return {key for key, entry in self._accepted.items() if receiver.wants(entry.name)}

    def arrivals(self, receiver):
        with self._lock:
            return list(self._arrivals[receiver.name])

    def delivered(self, receiver):
        """The ids of the events that the receiver answered with 200."""
        return {one.event_id for one in self.arrivals(receiver) if one.answer == 200}

    def latencies(self, receiver, since, until):
        """Seconds from the post to the first arrival, ascending, of events posted meanwhile."""
        first = {}
        with self._lock:
            for one in self._arrivals[receiver.name]:
                entry = self._accepted.get(one.event_id)
                if entry and since <= entry.posted < until and one.event_id not in first:
                    first[one.event_id] = one.at - entry.posted
        return sorted(first.values())

    def audit(self, receiver):
        """Every fault of the receiver's page, in words; and how many deliveries came twice."""
        arrivals, owed = self.arrivals(receiver), self.owed(receiver)
        good = [one for one in arrivals if one.answer == 200]
        ids = {one.event_id for one in good}
        faults = []
        if missing := owed - ids:
            faults.append(f"{len(missing)} events never arrived")
        if extra := {one.event_id for one in arrivals} - owed:
            faults.append(f"{len(extra)} events arrived that were not owed")
        sequences = {one.event_id: one.sequence for one in arrivals}
        if any(sequences[one.event_id] != one.sequence for one in arrivals):
            faults.append("an event came under two sequences")
        if sorted(sequences.values()) != list(range(1, len(owed) + 1)):
            faults.append(f"sequences are not 1 to {len(owed)} without a gap")
        if bad := [one for one in arrivals if one.seal != "signed"]:
            faults.append(f"{len(bad)} requests had a wrong signature or token")
        if disorder := self._disorder(arrivals):
            faults.append(f"first attempts out of order: {', '.join(disorder[:3])}")
        return faults, len(good) - len(ids)

    @staticmethod
    def _disorder(arrivals):
        """Resources whose events did not begin to arrive in the order of their sequence."""
        seen, newest, wrong = set(), {}, []
        for one in arrivals:
            if one.event_id in seen:
                continue
            seen.add(one.event_id)
            if one.sequence < newest.get(one.subject, 0):
                wrong.append(one.subject)
            newest[one.subject] = one.sequence
        return wrong
