//! [`Strategy`]: which server a request goes to.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind};

/// How a pool picks a server for each request.
///
/// # Choosing a strategy
///
/// | strategy | knows | good for | cost of a pick |
/// |---|---|---|---|
/// | [`RoundRobin`](Self::RoundRobin) | nothing | equal servers, equal requests | one addition |
/// | [`WeightedRoundRobin`](Self::WeightedRoundRobin) | weights | servers of known, unequal size | one addition |
/// | [`Random`](Self::Random) | weights | as round robin, when many clients must not keep step | one addition |
/// | [`LeastConnections`](Self::LeastConnections) | load, weights | requests of unequal length | a look at each server, at 16 above 128 |
/// | [`PowerOfTwoChoices`](Self::PowerOfTwoChoices) | load, weights | the same, with many servers or many clients | a look at two |
/// | [`PeakEwma`](Self::PeakEwma) | load, latency, failures, weights | servers that differ or change | a look at two |
/// | [`IpHash`](Self::IpHash) | the caller's key, weights | caches and sessions at the server | a hash for each server, a table above 64 |
/// | [`BoundedLoadHash`](Self::BoundedLoadHash) | the key, load, weights | the same, with keys of unequal traffic | the same, and a look at each server |
///
/// If in doubt: `PeakEwma` where servers are not alike or may fail, `RoundRobin` where they are.
///
/// What holds for all of them:
///
/// - A server that is not [well](crate::Health) is not picked from, and one that has just come back
///   gets its share in steps ([`Config::slow_start`](crate::Config::slow_start)).
/// - A server of weight 0 gets no new requests. All strategies but `RoundRobin` honour the other
///   weights too.
/// - Only the servers of the best [tier](crate::Server::priority_tier) are picked from.
/// - A server that has neither an idle connection nor room for a new one is passed over while
///   another has something to give. `IpHash` stays at its server, for that is what it is for.
/// - *Load* is what the pool itself has at a server at that moment: requests under way and callers
///   in line. All threads see the same figures.
///
/// The names in [`FromStr`] are those of the variants; `LeastConn`, `WeightedRound` and `IPHash`
/// are accepted too.
///
/// ```
/// use evenkeel::Strategy;
///
/// let strategy: Strategy = "LeastConn".parse()?;
/// assert_eq!(strategy, Strategy::LeastConnections);
/// assert_eq!(strategy.to_string(), "LeastConnections");
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// Each server in turn: `k · n` picks over `n` servers name each exactly `k` times. Weights
    /// other than 0 do not count.
    #[default]
    RoundRobin,
    /// The server with the least load for its weight. Among equals the dice decide, in proportion
    /// to the weights. With more than 128 servers, the best of 16 that are drawn.
    LeastConnections,
    /// Each server in turn, as often as its weight says, and interleaved: weights 3 and 1 give
    /// `a a b a`. The turns are those of nginx's smooth weighted round robin; if the weights'
    /// period is longer than 4096 turns, those of gRPC's static stride scheduler.
    WeightedRoundRobin,
    /// Any server, in proportion to the weights (Walker's alias method, as Vose built it: *A linear
    /// algorithm for generating random numbers with a given distribution*, 1991).
    Random,
    /// The same server for the same [key](crate::Select::client_id), as long as it is there:
    /// weighted rendezvous hashing (Thaler and Ravishankar, *Using name-based mappings to increase
    /// hit rates*, 1998). When a server leaves, only its keys move; when one joins, only those move
    /// that it takes. With more than 64 servers a Maglev table does the same with a few moves more
    /// (Eisenbud and others, *Maglev*, NSDI 2016). Among the servers of a tag, only those count.
    /// Without a key: round robin.
    IpHash,
    /// The less loaded of two that are drawn in proportion to the weights (Mitzenmacher, *The power
    /// of two choices in randomized load balancing*, 2001).
    PowerOfTwoChoices,
    /// The cheaper of two that are drawn: the cost is the recent peak of the time to a response,
    /// times the load, over the weight. The peak falls off with time (see
    /// [`Config::ewma_decay`](crate::Config::ewma_decay)). A failure counts as a response that took
    /// 5 s, or as long as its `Retry-After` says, up to 300 s: or a server that fails fast would
    /// draw all traffic. Failures are connections that cannot be made, timeouts, broken exchanges,
    /// and the statuses 429 and 5xx. A server without an idle connection costs what it takes to
    /// connect, too. This is the balancer of Finagle and linkerd, with their remedies.
    PeakEwma,
    /// As `IpHash`, unless the server's load is above a quarter more than its fair share: then the
    /// next in the key's own order (Mirrokni, Thorup and Zadimoghaddam, *Consistent hashing with
    /// bounded loads*, 2018). The order differs from key to key, so that what one server cannot
    /// take is spread over all others.
    BoundedLoadHash,
}

impl Strategy {
    /// Every strategy, in the order of the table above.
    pub const ALL: &[Self] = &[
        Self::RoundRobin,
        Self::WeightedRoundRobin,
        Self::Random,
        Self::LeastConnections,
        Self::PowerOfTwoChoices,
        Self::PeakEwma,
        Self::IpHash,
        Self::BoundedLoadHash,
    ];
}

const NAMES: [(Strategy, &str); 8] = [
    (Strategy::RoundRobin, "RoundRobin"),
    (Strategy::LeastConnections, "LeastConnections"),
    (Strategy::WeightedRoundRobin, "WeightedRoundRobin"),
    (Strategy::Random, "Random"),
    (Strategy::IpHash, "IpHash"),
    (Strategy::PowerOfTwoChoices, "PowerOfTwoChoices"),
    (Strategy::PeakEwma, "PeakEwma"),
    (Strategy::BoundedLoadHash, "BoundedLoadHash"),
];

const OTHER_NAMES: [(Strategy, &str); 3] = [
    (Strategy::LeastConnections, "LeastConn"),
    (Strategy::WeightedRoundRobin, "WeightedRound"),
    (Strategy::IpHash, "IPHash"),
];

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(strategy, _)| strategy == self).map_or("", |(_, name)| name);
        f.pad(name)
    }
}

impl FromStr for Strategy {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let known = NAMES.iter().chain(&OTHER_NAMES).find(|(_, known)| *known == name);
        known.map(|(strategy, _)| *strategy).ok_or_else(|| {
            let names: Vec<&str> = NAMES.iter().map(|(_, name)| *name).collect();
            let shown: String = name.escape_debug().take(40).collect();
            let message =
                format!("there is no strategy \"{shown}\"; there are {}", names.join(", "));
            Error::new(ErrorKind::Config, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_strategy_is_read_by_the_name_it_shows() {
        assert_eq!(Strategy::ALL.len(), NAMES.len());
        for &strategy in Strategy::ALL {
            let (_, name) = NAMES.iter().find(|(known, _)| *known == strategy).unwrap();
            assert_eq!(strategy.to_string(), *name);
            assert_eq!(name.parse::<Strategy>().unwrap(), strategy);
        }
    }

    #[test]
    fn the_short_names_are_read_too() {
        let names = ["RoundRobin", "LeastConn", "WeightedRound", "Random", "IPHash"];
        let read = names.map(|name| name.parse::<Strategy>().unwrap());
        let meant = [
            Strategy::RoundRobin,
            Strategy::LeastConnections,
            Strategy::WeightedRoundRobin,
            Strategy::Random,
            Strategy::IpHash,
        ];
        assert_eq!(read, meant);
    }

    #[test]
    fn an_unknown_name_is_refused_with_those_that_are_known() {
        let error = "roundest".parse::<Strategy>().expect_err("unknown");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("roundest") && error.to_string().contains("PeakEwma"));
    }
}
