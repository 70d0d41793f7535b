//! [`Explanation`]: why a request would go where it would go.

use std::fmt;
use std::time::Duration;

use crate::server::ServerId;

/// What [`Pool::explain`](crate::Pool::explain) found. `Display` shows it as a table.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// The strategy's name; `custom` for a [`Balancer`](crate::Balancer).
    pub strategy: String,
    /// What a request would do.
    pub verdict: Verdict,
    /// Every server of the pool, in the order in which they were added.
    pub servers: Vec<ServerReport>,
}

/// What a request would do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It would take an idle connection to this server.
    Take(ServerId),
    /// It would open a connection to this server.
    Connect(ServerId),
    /// It would wait in line at this server.
    Wait(ServerId),
    /// No server would do, for this reason.
    Nowhere(String),
}

/// A server, as a pick sees it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ServerReport {
    /// The server.
    pub id: ServerId,
    /// Its base URL.
    pub url: String,
    /// Its weight.
    pub weight: u32,
    /// Its tier.
    pub tier: u8,
    /// Its load: requests under way, and callers in line.
    pub in_flight: u32,
    /// Callers in line.
    pub waiting: u32,
    /// Connections that wait for the next request.
    pub idle: u32,
    /// It has neither an idle connection nor room for a new one.
    pub is_full: bool,
    /// The recent peak of the time to a response, which is what
    /// [`PeakEwma`](crate::Strategy::PeakEwma) goes by; `None` before the first response, and under
    /// any other strategy.
    pub response_peak: Option<Duration>,
    /// What a connection would cost, by the recent peak of the time to connect: zero if there is an
    /// idle one. `None` as above.
    pub connect_cost: Option<Duration>,
    /// What the strategy compares, where it compares: the load over the weight, or, under
    /// `PeakEwma`, nanoseconds. The least of those that [are compared](Self::is_compared) wins.
    pub cost: Option<f64>,
    /// The strategy has looked at its load: those that draw lots look at those that are drawn.
    pub is_compared: bool,
    /// Why it is not picked from; `None` if it is.
    pub exclusion: Option<Exclusion>,
}

/// Why a server is not picked from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Exclusion {
    /// The request names another one.
    NotNamed,
    /// The request excludes it.
    Excluded,
    /// It does not have the tag that the request asks for.
    Untagged,
    /// Its weight is 0.
    Drained,
    /// It is [draining](crate::ServerState::Draining).
    Draining,
    /// It is [disabled](crate::ServerState::Disabled).
    Disabled,
    /// Its health checks fail.
    Down,
    /// Its requests failed.
    Ejected,
    /// Its requests failed, and it gets one at a time now.
    Trial,
    /// No health check of it has succeeded yet.
    Unknown,
    /// A better tier has a server.
    Tier,
}

impl Explanation {
    /// The server that a request would go to.
    pub fn choice(&self) -> Option<ServerId> {
        match self.verdict {
            Verdict::Take(id) | Verdict::Connect(id) | Verdict::Wait(id) => Some(id),
            Verdict::Nowhere(_) => None,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Take(id) => write!(f, "server {id}, on an idle connection"),
            Self::Connect(id) => write!(f, "server {id}, on a new connection"),
            Self::Wait(id) => write!(f, "server {id}, when a connection comes free"),
            Self::Nowhere(why) => write!(f, "nowhere: {why}"),
        }
    }
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotNamed => "not the one that is named",
            Self::Excluded => "excluded by the request",
            Self::Untagged => "does not have the tag",
            Self::Drained => "weight 0",
            Self::Draining => "draining",
            Self::Disabled => "disabled",
            Self::Down => "down",
            Self::Ejected => "ejected",
            Self::Trial => "on trial",
            Self::Unknown => "not checked yet",
            Self::Tier => "in a higher tier",
        })
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls = self.servers.iter().map(|server| server.url.chars().count());
        let wide = urls.max().unwrap_or(0).max("server".len());
        writeln!(f, "{}: to {}", self.strategy, self.verdict)?;
        writeln!(
            f,
            "    id  {:wide$}  weight  load  waiting  idle  response   connect       cost",
            "server"
        )?;
        for server in &self.servers {
            let mark = if self.choice() == Some(server.id) { '>' } else { ' ' };
            let ServerReport { id, url, weight, in_flight, waiting, idle, .. } = server;
            write!(f, "{mark} {id:>4}  {url:wide$}  {weight:>6}  {in_flight:>4}  ")?;
            write!(f, "{waiting:>7}  {idle:>4}  ")?;
            write!(f, "{:>8}  ", Short(server.response_peak))?;
            write!(f, "{:>8}  ", Short(server.connect_cost))?;
            match server.cost {
                Some(cost) if cost >= 1e6 => write!(f, "{cost:>9.1e}")?,
                Some(cost) => write!(f, "{cost:>9.3}")?,
                None => write!(f, "{:>9}", "-")?,
            }
            let compared = server.is_compared.then_some("compared");
            let full = server.is_full.then_some("full");
            let marks: Vec<&str> = compared.into_iter().chain(full).collect();
            match server.exclusion {
                Some(why) => writeln!(f, "  ({why})")?,
                None if marks.is_empty() => writeln!(f)?,
                None => writeln!(f, "  {}", marks.join(", "))?,
            }
        }
        Ok(())
    }
}

/// A duration in milliseconds.
struct Short(Option<Duration>);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(time) => f.pad(&format!("{:.1} ms", time.as_secs_f64() * 1e3)),
            None => f.pad("-"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(id: u64, url: &str) -> ServerReport {
        ServerReport {
            id: ServerId(id),
            url: url.to_owned(),
            weight: 1,
            tier: 0,
            in_flight: 3,
            waiting: 0,
            idle: 2,
            is_full: false,
            response_peak: Some(Duration::from_micros(12_340)),
            connect_cost: Some(Duration::ZERO),
            cost: Some(4.936e7),
            is_compared: true,
            exclusion: None,
        }
    }

    #[test]
    fn it_is_shown_as_a_table_with_the_choice_marked() {
        let drained = ServerReport {
            weight: 0,
            cost: None,
            response_peak: None,
            is_compared: false,
            exclusion: Some(Exclusion::Drained),
            ..server(12, "http://b")
        };
        let full = ServerReport { is_full: true, ..server(3, "http://c/base") };
        let explanation = Explanation {
            strategy: "PeakEwma".to_owned(),
            verdict: Verdict::Take(ServerId(1)),
            servers: vec![server(1, "http://a"), drained, full],
        };
        let table = "\
PeakEwma: to server 1, on an idle connection
    id  server         weight  load  waiting  idle  response   connect       cost
>    1  http://a            1     3        0     2   12.3 ms    0.0 ms      4.9e7  compared
    12  http://b            0     3        0     2         -    0.0 ms          -  (weight 0)
     3  http://c/base       1     3        0     2   12.3 ms    0.0 ms      4.9e7  compared, full
";
        assert_eq!(explanation.to_string(), table);
    }
}
