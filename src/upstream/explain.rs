//! Tells for a pick what it would be, and why.

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use super::acquire::Wish;
use super::backend::Backend;
use super::directory::Directory;
use super::pick::{Found, Nobody, Search};
use super::roster::Entry;
use crate::balance::{Ahead, Latency, Load, View, cost};
use crate::metrics::{Exclusion, Explanation, ServerReport, Verdict};
use crate::server::{Health, ServerState};
use crate::strategy::Strategy;

impl Directory {
    /// What the next pick would be. It changes nothing.
    pub(crate) fn explain(&self, wish: &Wish<'_>) -> Explanation {
        let custom = self.chooser.custom();
        let advice = custom.and_then(|balancer| self.ask(&**balancer, wish));
        let strategy = match custom {
            Some(_) => "custom".to_owned(),
            None => self.hub.config.load_balance_strategy.to_string(),
        };
        self.roster.with(|roster| {
            let ahead = Some(Ahead::default());
            let search =
                Search { directory: self, roster, wish, advice, ahead, now: OnceCell::new() };
            let mut given = None;
            let found = match search.trial() {
                Some(backend) => {
                    given = offer(backend, wish);
                    Ok(if given.is_some() { Found::Given } else { Found::Wait(backend) })
                }
                None => search.run(|backend| {
                    given = offer(backend, wish);
                    given.is_some()
                }),
            };
            let nowhere = |nobody: Nobody| Verdict::Nowhere(nobody.message(wish).into_owned());
            let verdict = match found {
                Ok(Found::Wait(backend)) => Verdict::Wait(backend.id),
                Ok(Found::Given) => given.unwrap_or_else(|| nowhere(Nobody::Exhausted)),
                Err(nobody) => nowhere(nobody),
            };
            let compared = search.ahead.as_ref().map(Ahead::compared).unwrap_or_default();
            let best = best_tier(&search);
            let reports = roster.entries().iter().enumerate().map(|(at, entry)| {
                let load = entry.backend.load();
                ServerReport {
                    is_compared: compared.contains(&at),
                    exclusion: exclusion(&search, at, best),
                    ..self.report(entry, load, search.latency(at))
                }
            });
            Explanation { strategy, verdict, servers: reports.collect() }
        })
    }

    fn report(&self, entry: &Entry, load: Load, latency: Latency) -> ServerReport {
        let Entry { backend, terms, .. } = entry;
        let strategy = self.hub.config.load_balance_strategy;
        let is_ewma = strategy == Strategy::PeakEwma && self.chooser.custom().is_none();
        let by_load = matches!(strategy, Strategy::LeastConnections | Strategy::PowerOfTwoChoices)
            && self.chooser.custom().is_none();
        let cost = match terms.weight {
            0 => None,
            weight if is_ewma => Some(cost(load, latency, weight)),
            weight if by_load => Some(f64::from(load.in_flight) / f64::from(weight)),
            _ => None,
        };
        let connect = if load.is_warm { 0.0 } else { latency.connect };
        ServerReport {
            id: backend.id,
            url: backend.server.url().to_owned(),
            weight: terms.weight,
            tier: terms.tier,
            in_flight: load.in_flight,
            waiting: backend.gate.ledger.counts().waiting,
            idle: u32::try_from(backend.gate.idle.len()).unwrap_or(u32::MAX),
            is_full: load.is_full,
            response_peak: latency.response.map(from_nanos),
            connect_cost: is_ewma.then(|| from_nanos(connect)),
            cost,
            is_compared: false,
            exclusion: None,
        }
    }
}

fn from_nanos(nanos: f32) -> Duration {
    Duration::from_secs_f64(f64::from(nanos) / 1e9)
}

/// What the server would give.
fn offer(backend: &Arc<Backend>, wish: &Wish<'_>) -> Option<Verdict> {
    if backend.load().is_warm {
        return Some(Verdict::Take(backend.id));
    }
    (wish.may_dial && backend.has_room()).then_some(Verdict::Connect(backend.id))
}

/// The lowest tier with a server that this caller may get.
fn best_tier(search: &Search<'_>) -> Option<u8> {
    let entries = search.roster.entries().iter().enumerate();
    let fits = entries.filter(|(at, entry)| search.allows(entry) && !search.is_barred(*at));
    fits.map(|(_, entry)| entry.terms.tier).min()
}

fn exclusion(search: &Search<'_>, at: usize, best_tier: Option<u8>) -> Option<Exclusion> {
    let entry = &search.roster.entries()[at];
    if search.wish.server.is_some_and(|named| named != entry.id()) {
        return Some(Exclusion::NotNamed);
    }
    if search.is_barred(at) {
        return Some(Exclusion::Excluded);
    }
    if search.wish.server.is_some() {
        let is_disabled = entry.standing.state == ServerState::Disabled;
        return is_disabled.then_some(Exclusion::Disabled);
    }
    if !entry.is_eligible() {
        return Some(ineligible(entry, search.directory.hub.tick()));
    }
    if !search.allows(entry) {
        return Some(Exclusion::Untagged);
    }
    (Some(entry.terms.tier) != best_tier).then_some(Exclusion::Tier)
}

/// Why it may not be picked.
fn ineligible(entry: &Entry, now: u64) -> Exclusion {
    match (entry.standing.state, entry.standing.health(now)) {
        _ if entry.terms.weight == 0 => Exclusion::Drained,
        (ServerState::Disabled, _) => Exclusion::Disabled,
        (ServerState::Draining, _) => Exclusion::Draining,
        (_, Health::Ejected) => Exclusion::Ejected,
        (_, Health::Trial) => Exclusion::Trial,
        (_, Health::Unknown) => Exclusion::Unknown,
        _ => Exclusion::Down,
    }
}

impl Nobody {
    /// Why there is no server for this wish.
    pub(super) fn message(self, wish: &Wish<'_>) -> std::borrow::Cow<'static, str> {
        match (self, wish.server) {
            (Self::NotFound, Some(id)) => format!("there is no server {id} in the pool").into(),
            (Self::Exhausted, _) if wish.tried.is_empty() => {
                "every server that would do is excluded".into()
            }
            (Self::Exhausted, _) => "no server could be reached".into(),
            (Self::Untagged, _) => {
                let tag = wish.select.wanted_tag().map_or("", |tag| &tag.name);
                let shown: String = tag.escape_debug().take(MOST_SHOWN).collect();
                format!("no server has the tag \"{shown}\" and a weight above 0").into()
            }
            (Self::Drained, _) => "all servers have weight 0, are drained or disabled".into(),
            (Self::Unhealthy, _) => {
                "no server is well; server_stats tells what is wrong with each".into()
            }
            (Self::Disabled, _) => "the server that is asked for is disabled".into(),
            (Self::Empty | Self::NotFound, _) => {
                "the pool has no servers; add one with add_server".into()
            }
        }
    }
}

/// How much of a tag an error shows.
const MOST_SHOWN: usize = 40;
