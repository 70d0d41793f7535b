//! The callers: what each of them holds, what it does next, and what the model says of that.

use std::rc::Rc;
use std::task::Poll;

use super::callers::{Brought, Caller, Gift, Place};
use super::fleet::{Conn, SERVERS, Server, Wakes, servers};
use super::model::{Model, Parked as Idle};
use crate::lockfree::idle::{Candidate, Parked, Take};
use crate::lockfree::permits::{Limits, Refused};
use crate::lockfree::settle::{Site, check_in, claim, close, renew, shut};
use crate::lockfree::shrink::resize;
use crate::lockfree::ticket::{Granted, Permit, Ticket};

/// The limits, as the input chooses them: small, or they are never met.
pub(super) struct Shape {
    limits: Limits,
    total: u32,
    words: usize,
}

impl Shape {
    pub(super) fn new(open: u8, connecting: u8, waiting: u8, total: u8) -> Self {
        let open = u32::from(open % 4) + 1;
        Self {
            limits: Limits {
                open,
                connecting: u32::from(connecting) % open + 1,
                waiting: u32::from(waiting % 8),
            },
            total: u32::from(total % 6) + 1,
            words: 1 + usize::from(total >= 128),
        }
    }
}

pub(super) struct World {
    pub(super) limits: [Limits; SERVERS],
    pub(super) total: u32,
    /// What may be open, which is more than the limits for a while after these have shrunk.
    pub(super) most: [Limits; SERVERS],
    pub(super) most_in_total: u32,
    pub(super) words: usize,
    pub(super) servers: [Server; SERVERS],
    pub(super) models: [Model; SERVERS],
    pub(super) callers: Vec<Caller>,
    pub(super) leases: Vec<(usize, Parked<Conn>)>,
    /// An idle connection that was seen in passing: its server, slot and age.
    pub(super) seen: Option<(usize, usize, Candidate)>,
    pub(super) now: u64,
    pub(super) ids: u64,
    /// For each server, the check-ins elsewhere since it has wanted its first connection.
    pub(super) passed_over: [u32; SERVERS],
}

impl World {
    pub(super) fn new(shape: &Shape) -> Self {
        Self {
            limits: [shape.limits; SERVERS],
            total: shape.total,
            most: [shape.limits; SERVERS],
            most_in_total: shape.total,
            words: shape.words,
            servers: servers(shape.limits, shape.total, shape.words),
            models: [(); SERVERS].map(|()| Model::default()),
            callers: Vec::new(),
            leases: Vec::new(),
            seen: None,
            now: 0,
            ids: 0,
            passed_over: [0; SERVERS],
        }
    }

    pub(super) fn step(&mut self, what: u8, which: u8) {
        let (at, index) = (usize::from(which) % SERVERS, usize::from(which) / SERVERS);
        let lease = (!self.leases.is_empty()).then(|| index % self.leases.len().max(1));
        let caller = (!self.callers.is_empty()).then(|| index % self.callers.len().max(1));
        match (what % 16, lease, caller) {
            (0, ..) => self.take(at, index),
            (1 | 2, ..) => self.enter(at, which / 32),
            (3, Some(lease), _) | (4, Some(lease), _) => self.give_back(lease),
            (5, Some(lease), _) => self.close(lease),
            (6, Some(lease), _) => self.renew(lease),
            (7 | 8, _, Some(caller)) => self.look(caller),
            (9, _, Some(caller)) => self.leave(caller),
            (10, _, Some(caller)) => self.dial(caller),
            (11, _, Some(caller)) => self.connected(caller, index),
            (12, _, Some(caller)) => self.give_up(caller),
            (13, ..) => self.see(at),
            (14, ..) => self.reap(),
            (15, ..) if which >= 250 => self.shut(at),
            (15, ..) if which >= 128 => self.resize(at, index),
            (15, ..) => self.now += 1,
            _ => {}
        }
    }

    fn id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// A caller that finds a connection without waiting.
    fn take(&mut self, at: usize, hint: usize) {
        let model = &mut self.models[at];
        match self.servers[at].gate().idle.take(hint) {
            Take::Got(parked) => {
                let lowest = model.lowest(hint % self.words, self.words);
                assert_eq!(lowest, Some(parked.slot.index()), "not the lowest");
                let idle = model.idle.remove(&parked.slot.index()).expect("it is there");
                assert_eq!((idle.conn, idle.since), (parked.value.0, parked.since));
                assert!(!model.closed && !model.has_line(), "it has overtaken the line");
                self.leases.push((at, parked));
            }
            Take::Empty => {
                assert!(model.idle.is_empty() && !model.closed && !model.has_line());
            }
            Take::Refused => assert!(model.closed || model.has_line(), "refused without a cause"),
        }
    }

    /// A caller that found none enters the line, and looks.
    fn enter(&mut self, at: usize, class: u8) {
        let id = self.id();
        let there = self.there(at);
        self.models[at].enter(class, id);
        match Ticket::enter(&self.servers[at], class) {
            Ok(ticket) => self.stand(at, ticket, id, None, there),
            Err(refused) => {
                let waiting = self.models[at].waiting() - 1;
                match refused {
                    Refused::Closed => assert!(self.models[at].closed),
                    Refused::Full => assert!(waiting >= self.limits[at].waiting as usize),
                }
                self.absorb(there);
                self.models[at].leave(id);
            }
        }
    }

    /// The connection that the next in line finds, if nobody stands there.
    fn there(&mut self, at: usize) -> Option<Brought> {
        let model = &mut self.models[at];
        let slot = model.lowest(0, self.words).filter(|_| !model.closed)?;
        let idle = model.idle.remove(&slot)?;
        Some(Brought { at, slot, idle })
    }

    /// One who has just entered looks: what it finds then, nobody had to wake it for.
    fn stand(
        &mut self,
        at: usize,
        ticket: Ticket<Server>,
        id: u64,
        permit: Option<Permit<Server>>,
        there: Option<Brought>,
    ) {
        let (wakes, waker) = Wakes::new();
        let entered = permit.is_some();
        let mut place = Place { id, ticket, wakes, waker, gift: None };
        let found = match place.ticket.poll(&place.waker) {
            Poll::Ready(granted) => {
                place.waker.wake_by_ref();
                Some(granted)
            }
            Poll::Pending => None,
        };
        self.callers.push(Caller { at, place: Some(place), permit, entered });
        self.absorb(there);
        if let Some(granted) = found {
            self.receive(self.callers.len() - 1, granted);
        }
    }

    /// A caller in line looks.
    fn look(&mut self, caller: usize) {
        let Some(place) = &mut self.callers[caller].place else { return };
        match place.ticket.poll(&place.waker) {
            Poll::Ready(granted) => self.receive(caller, granted),
            Poll::Pending => assert_eq!(place.gift, None, "it has been given something"),
        }
    }

    /// A caller has taken what it was given. One who dials goes on dialling, for somebody else.
    fn receive(&mut self, caller: usize, granted: Granted<Server>) {
        let Caller { at, place, permit, .. } = &mut self.callers[caller];
        let at = *at;
        let gift = place.take().and_then(|place| place.gift);
        let gift = gift.expect("the model has given it something");
        let dials = permit.is_some();
        match granted {
            Granted::Connection(parked) => {
                assert_eq!(gift, Gift::Connection(parked.value.0));
                let place = (parked.slot.index(), parked.since);
                assert_eq!(self.models[at].given.remove(&parked.value.0), Some(place));
                self.leases.push((at, parked));
            }
            Granted::Permit(granted) => {
                assert_eq!((gift, dials), (Gift::Permit, false));
                *permit = Some(granted);
                return;
            }
            Granted::Closed => assert_eq!(gift, Gift::Closed),
            Granted::Refused | Granted::Shed => assert_eq!(gift, Gift::SentAway),
        }
        if !dials {
            self.callers.swap_remove(caller);
        }
    }

    /// A caller leaves the line, with or without what it had been given.
    fn leave(&mut self, caller: usize) {
        let Caller { at, place, permit, .. } = &mut self.callers[caller];
        let (at, dials) = (*at, permit.is_some());
        let Some(place) = place.take() else { return };
        if !dials {
            self.callers.swap_remove(caller);
        }
        self.models[at].leave(place.id);
        let brought = self.returned(at, &place);
        drop(place.ticket);
        self.absorb(brought);
    }

    /// What one who goes had been given, and not taken, is brought to the next.
    fn returned(&mut self, at: usize, place: &Place) -> Option<Brought> {
        let Some(Gift::Connection(conn)) = place.gift else { return None };
        let (slot, since) = self.models[at].given.remove(&conn).expect("it was given");
        Some(Brought { at, slot, idle: Idle { conn, since } })
    }

    /// One who has a permit enters the line for a connection.
    fn dial(&mut self, caller: usize) {
        if self.callers[caller].entered || self.callers[caller].permit.is_none() {
            return;
        }
        let Caller { at, permit, .. } = self.callers.swap_remove(caller);
        let Some(mut permit) = permit else { return };
        let id = self.id();
        let there = self.there(at);
        self.models[at].diallers.push_back(id);
        let ticket = Ticket::enter_dialling(&mut permit);
        self.stand(at, ticket, id, Some(permit), there);
    }

    /// A dial has made its connection: given back at once, or kept for a while.
    fn connected(&mut self, caller: usize, index: usize) {
        let conn = self.id();
        let Caller { at, permit, .. } = &mut self.callers[caller];
        let (at, Some(permit)) = (*at, permit) else { return };
        let slot = permit.connected(index / 2);
        let parked = Parked { slot, value: Conn(conn), since: self.now };
        if index % 2 == 0 {
            self.check_in(at, parked);
            self.end_dial(caller);
        } else {
            self.leases.push((at, parked));
            self.end_dial(caller);
        }
    }

    /// A dial has failed, or a caller has gone.
    fn give_up(&mut self, caller: usize) {
        match self.callers[caller].permit {
            Some(_) => self.end_dial(caller),
            None => self.leave(caller),
        }
    }

    fn end_dial(&mut self, caller: usize) {
        let Caller { at, place, permit, .. } = self.callers.swap_remove(caller);
        let mut brought = None;
        if let Some(place) = &place {
            self.models[at].leave(place.id);
            brought = self.returned(at, place);
        }
        drop(permit);
        // What is left of the place holds nothing any more.
        drop(place);
        self.absorb(brought);
    }

    fn give_back(&mut self, lease: usize) {
        let (at, parked) = self.leases.swap_remove(lease);
        self.check_in(at, Parked { since: self.now, ..parked });
    }

    fn check_in(&mut self, at: usize, parked: Parked<Conn>) {
        let other = 1 - at;
        let desperate = self.is_desperate(other);
        // Above the total a connection that comes back is closed for nobody.
        let may_yield = self.servers[at].total().in_use() <= u64::from(self.total);
        let idle = Idle { conn: parked.value.0, since: parked.since };
        let brought = Brought { at, slot: parked.slot.index(), idle };
        check_in(&self.servers[at], parked);
        self.absorb(Some(brought));
        // Its turn may come after that of another who needs a first connection as much, once.
        self.passed_over[other] += u32::from(may_yield);
        if !desperate || !self.is_desperate(other) {
            self.passed_over[other] = 0;
        }
        assert!(self.passed_over[other] < 3, "starved by a busy server");
    }

    fn close(&mut self, lease: usize) {
        let (at, parked) = self.leases.swap_remove(lease);
        close(&self.servers[at], parked.slot);
        self.absorb(None);
    }

    /// A connection has failed, and its user opens another on its permits.
    fn renew(&mut self, lease: usize) {
        let (at, parked) = self.leases.swap_remove(lease);
        let counts = self.servers[at].gate().ledger.counts();
        let limits = self.limits[at];
        let may = !counts.closed
            && counts.connecting < limits.connecting
            && counts.open <= limits.open
            && self.servers[at].total().in_use() <= u64::from(self.total);
        let permit = renew(&self.servers[at], parked.slot);
        assert_eq!(permit.is_some(), may);
        if permit.is_some() {
            self.callers.push(Caller { at, place: None, permit, entered: false });
        }
        self.absorb(None);
    }

    /// The reaper looks at what it would close first.
    fn see(&mut self, at: usize) {
        let seen = self.servers[at].gate().idle.parked().next();
        let highest = self.models[at].idle.last_key_value();
        assert_eq!(seen.map(|seen| seen.since), highest.map(|(_, idle)| idle.since));
        self.seen = seen.zip(highest).map(|(seen, (slot, _))| (at, *slot, seen));
    }

    /// And closes it, if it has not been used since.
    fn reap(&mut self) {
        let Some((at, slot, seen)) = self.seen.take() else { return };
        let idle = self.models[at].idle.get(&slot).filter(|idle| idle.since == seen.since).copied();
        let claimed = claim(&self.servers[at], seen);
        assert_eq!(claimed.as_ref().map(|parked| parked.value.0), idle.map(|idle| idle.conn));
        if let Some(parked) = claimed {
            self.models[at].idle.remove(&slot);
            close(&self.servers[at], parked.slot);
        }
        self.absorb(None);
    }

    fn shut(&mut self, at: usize) {
        self.models[at].closed = true;
        shut(&self.servers[at]);
        self.absorb(None);
    }

    /// A limit of a server or the total is set anew: as an input chooses them at first.
    fn resize(&mut self, at: usize, index: usize) {
        let (small, number) = (u8::try_from(index % 32).unwrap_or(0), index / 2);
        let total = self.servers[0].total();
        if index % 2 == 0 {
            let waiting = u8::try_from(number % 8).unwrap_or(0);
            let Shape { limits, .. } = Shape::new(small / 2, small, waiting, 0);
            self.limits[at] = limits;
            let most = &mut self.most[at];
            most.open = most.open.max(limits.open);
            most.connecting = most.connecting.max(limits.connecting);
            self.servers[at].gate().ledger.set_limits(limits);
        } else {
            self.total = Shape::new(0, 0, 0, small / 2).total;
            self.most_in_total = self.most_in_total.max(self.total);
            total.set_limit(self.total);
        }
        let all: Vec<_> = self.servers.iter().map(Site::handle).collect();
        resize::<Server>(&all, total);
        self.absorb(None);
    }

    /// Everybody goes, and the servers are shut; then all must be back.
    pub(super) fn finish(mut self) {
        while !self.callers.is_empty() {
            self.give_up(0);
            self.check();
        }
        while let Some((at, parked)) = self.leases.pop() {
            self.check_in(at, parked);
            self.check();
        }
        for at in 0..SERVERS {
            self.shut(at);
            self.check();
        }
        let total = self.servers[0].total();
        assert_eq!(total.in_use(), 0);
        // Marks that were not needed any more hold their server, which holds their queue.
        while total.pop().is_some() {}
        let fleet = self.servers[0].fleet.clone();
        drop(self);
        assert_eq!(Rc::strong_count(&fleet), 1, "somebody still holds a server");
    }
}
