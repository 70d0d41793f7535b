//! What must hold after each step.

use super::callers::{Brought, Caller, Gift};
use super::fleet::SERVERS;
use super::model::Parked;
use super::world::World;
use crate::lockfree::settle::{Dispose, Site};

impl World {
    /// Follows up what a step has led to: connections that were closed, and callers who were given
    /// something, in the order in which it was their turn.
    pub(super) fn absorb(&mut self, brought: Option<Brought>) {
        let brought = self.without_disposed(brought);
        let given = brought.filter(|brought| !self.stays(brought));
        let mut woken = [0; SERVERS];
        for caller in &self.callers {
            woken[caller.at] += usize::from(caller.place.as_ref().is_some_and(|place| {
                assert!(place.wakes.count() <= 1, "woken twice");
                place.wakes.count() == 1 && place.gift.is_none()
            }));
        }
        if let Some(given) = &given {
            assert!(woken[given.at] > 0, "a connection has gone astray");
            woken[given.at] -= 1;
        }
        // Before any permit that has come free in the same step.
        self.give(given);
        for (at, mut woken) in woken.into_iter().enumerate() {
            for _ in 0..self.new_permits(at) {
                self.permit(at);
                woken -= 1;
            }
            for _ in 0..woken {
                self.send_away(at);
            }
        }
    }

    /// Takes connections off the list that the core has closed, with or without the one that this
    /// step has brought.
    fn without_disposed(&mut self, mut brought: Option<Brought>) -> Option<Brought> {
        let disposed = self.servers[0].fleet.disposed.take();
        for (at, conn, why) in disposed {
            let model = &mut self.models[at];
            assert!(why != Dispose::Shut || model.closed, "shut, but the server is open");
            if brought.take_if(|brought| brought.idle.conn == conn.0).is_some() {
                continue;
            }
            let found = model.idle.iter().find(|(_, idle)| idle.conn == conn.0);
            let slot = *found.expect("it was idle, or has just come back").0;
            let Some(Parked { since, .. }) = model.idle.remove(&slot) else { continue };
            if why != Dispose::Shut {
                let older = model.idle.values().filter(|idle| idle.since < since).count();
                assert_eq!(older, 0, "another has been idle for longer");
            }
        }
        brought
    }

    /// Whether the connection has been parked, and nobody wanted it.
    fn stays(&mut self, brought: &Brought) -> bool {
        let model = &mut self.models[brought.at];
        let parked = self.servers[brought.at].gate().idle.len();
        if parked == model.idle.len() {
            return false;
        }
        model.idle.insert(brought.slot, brought.idle);
        true
    }

    fn give(&mut self, brought: Option<Brought>) {
        let Some(Brought { at, slot, idle: Parked { conn, since }, .. }) = brought else { return };
        let id = self.models[at].next_for_connection();
        self.note(at, id, Gift::Connection(conn));
        self.models[at].given.insert(conn, (slot, since));
    }

    /// How many permits have been given of which the model does not know yet.
    fn new_permits(&self, at: usize) -> usize {
        let counts = self.servers[at].gate().ledger.counts();
        counts.connecting as usize - self.permits(at)
    }

    fn permits(&self, at: usize) -> usize {
        let callers = self.callers.iter().filter(|caller| caller.at == at);
        let gift = |caller: &&Caller| caller.place.as_ref().and_then(|place| place.gift);
        callers
            .filter(|caller| caller.permit.is_some() || gift(caller) == Some(Gift::Permit))
            .count()
    }

    /// Somebody at this server has been given a permit.
    fn permit(&mut self, at: usize) {
        assert!(!self.is_provided(at), "one dial more than is wanted");
        let id = self.models[at].next_for_permit();
        self.note(at, id, Gift::Permit);
    }

    /// Somebody at this server has been woken, and has been given nothing.
    fn send_away(&mut self, at: usize) {
        if !self.models[at].closed {
            let waiting = self.models[at].waiting();
            assert!(
                waiting > self.limits[at].waiting as usize,
                "sent away from a line with places"
            );
            let id = self.models[at].shed();
            return self.note(at, id, Gift::SentAway);
        }
        let places = self.callers.iter().filter(|caller| caller.at == at);
        let mut woken = places.filter_map(|caller| caller.place.as_ref());
        let id = woken
            .find(|place| place.wakes.count() == 1 && place.gift.is_none())
            .map(|place| place.id);
        id.into_iter().for_each(|id| self.models[at].leave(id));
        self.note(at, id, Gift::Closed);
    }

    /// It was the turn of `id`: so that is who must have been woken.
    fn note(&mut self, at: usize, id: Option<u64>, gift: Gift) {
        let places = self.callers.iter_mut().filter(|caller| caller.at == at);
        let mut places = places.filter_map(|caller| caller.place.as_mut());
        let place = places.find(|place| Some(place.id) == id).expect("somebody wants it");
        assert_eq!((place.wakes.count(), place.gift), (1, None), "{gift:?}: not their turn");
        place.gift = Some(gift);
    }

    /// What must hold at rest.
    pub(super) fn check(&mut self) {
        let mut open = 0;
        for at in 0..SERVERS {
            self.check_counts(at);
            self.check_line(at);
            open += u64::from(self.servers[at].gate().ledger.counts().open);
        }
        assert_eq!(self.servers[0].total().in_use(), open);
        assert!(open <= u64::from(self.most_in_total), "more than the total");
        self.most_in_total = self.total.max(u32::try_from(open).expect("a small number"));
        let idle = self.models.iter().any(|model| !model.idle.is_empty());
        assert!(open <= u64::from(self.total) || !idle, "one is idle, and too many are open");
        for place in self.callers.iter().filter_map(|caller| caller.place.as_ref()) {
            assert_eq!(place.wakes.count(), usize::from(place.gift.is_some()));
        }
    }

    fn check_counts(&mut self, at: usize) {
        let (model, gate) = (&self.models[at], self.servers[at].gate());
        let counts = gate.ledger.counts();
        let permits = self.permits(at);
        let leased = self.leases.iter().filter(|(server, _)| *server == at).count();
        assert_eq!(counts.closed, model.closed);
        assert_eq!(counts.waiting as usize, model.waiting());
        assert_eq!(gate.idle.len(), model.idle.len());
        assert_eq!(counts.connecting as usize, permits);
        let open = permits + leased + model.idle.len() + model.given.len();
        assert_eq!(counts.open as usize, open);
        let (limits, most) = (&self.limits[at], &mut self.most[at]);
        assert!(counts.open <= most.open && counts.connecting <= most.connecting, "above a limit");
        most.open = limits.open.max(counts.open);
        most.connecting = limits.connecting.max(counts.connecting);
        assert!(counts.open <= limits.open || model.idle.is_empty(), "idle, and too many");
    }

    /// Nobody waits for what they could have.
    fn check_line(&self, at: usize) {
        let (model, other) = (&self.models[at], &self.models[1 - at]);
        if !model.has_line() {
            return;
        }
        assert!(!model.closed, "nobody waits at a closed server");
        assert!(model.idle.is_empty(), "a connection lies beside a line");
        let gate = self.servers[at].gate();
        if model.waiting() > 0 && gate.ledger.has_room() && !self.is_provided(at) {
            let in_use = self.servers[at].total().in_use();
            assert!(in_use >= u64::from(self.total), "a permit lies beside a line");
            assert!(other.idle.is_empty(), "somebody waits for want of a permit, and one is idle");
        }
    }

    /// Whether dials that nobody is left for will do for all who wait.
    fn is_provided(&self, at: usize) -> bool {
        let orphans = self.callers.iter().filter(|caller| {
            let stands = caller.place.as_ref().is_some_and(|place| place.gift.is_none());
            caller.at == at && caller.permit.is_some() && caller.entered && !stands
        });
        let orphans = orphans.count();
        orphans > 0 && orphans >= self.models[at].waiting()
    }

    /// Whether callers of this server wait, and it has no connection at all.
    pub(super) fn is_desperate(&self, at: usize) -> bool {
        let counts = self.servers[at].gate().ledger.counts();
        !counts.closed && counts.waiting > 0 && counts.open == 0
    }
}
