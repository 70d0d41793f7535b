//! [`Balancer`]: a strategy of the user's own.

use std::fmt;
use std::time::Duration;

use crate::select::Select;
use crate::server::ServerId;

/// A strategy of your own, given to [`Builder::balancer`](crate::Builder::balancer).
///
/// It is asked each time a request looks for a connection, unless the request names its server, and
/// on the task of the request. What it sees is its own: it may take its time, call the pool, or
/// panic, and holds up nobody but its caller. Its choice is a wish: if the server has nothing to
/// give, the pool looks at the others, as after any strategy.
///
/// ```
/// use evenkeel::{Balancer, Candidates, Pool, Select};
///
/// /// The server that has answered fastest.
/// struct Fastest;
///
/// impl Balancer for Fastest {
///     fn pick(&self, candidates: &Candidates<'_>, _: &Select) -> Option<usize> {
///         let servers = candidates.iter().enumerate();
///         servers.min_by_key(|(_, server)| server.response_time()).map(|(index, _)| index)
///     }
/// }
///
/// let pool = Pool::builder().balancer(Fastest).build()?;
/// # Ok::<(), evenkeel::Error>(())
/// ```
pub trait Balancer: Send + Sync + 'static {
    /// The index of the server to ask, below `candidates.len()`. `None`, or an index that is none,
    /// leaves the choice to round robin.
    fn pick(&self, candidates: &Candidates<'_>, select: &Select) -> Option<usize>;
}

/// What a [`Balancer`] picks from: the servers that may be picked, at least one. They are those of
/// the best tier, with a weight above 0, and with the tag that the request asks for. Servers that
/// the request has tried already, or excludes, are not among them.
#[derive(Clone, Copy)]
pub struct Candidates<'a> {
    lineup: &'a dyn Lineup,
}

/// The servers behind [`Candidates`].
pub(crate) trait Lineup {
    fn len(&self) -> usize;
    fn get(&self, index: usize) -> Candidate<'_>;
}

impl<'a> Candidates<'a> {
    pub(crate) fn new(lineup: &'a dyn Lineup) -> Self {
        Self { lineup }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lineup.len()
    }

    /// Whether there is none: never, where a balancer is asked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One of them; `None` if the index is not below [`len`](Self::len).
    pub fn get(&self, index: usize) -> Option<Candidate<'a>> {
        (index < self.len()).then(|| self.lineup.get(index))
    }

    /// Each of them, in the order in which they were added to the pool.
    pub fn iter(&self) -> impl Iterator<Item = Candidate<'a>> + 'a {
        let lineup = self.lineup;
        (0..lineup.len()).map(|index| lineup.get(index))
    }
}

impl fmt::Debug for Candidates<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// A server that may be picked, as it is now.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    pub(crate) id: ServerId,
    pub(crate) url: &'a str,
    pub(crate) weight: u32,
    pub(crate) in_flight: u32,
    pub(crate) waiting: u32,
    pub(crate) idle: u32,
    pub(crate) is_full: bool,
    pub(crate) response_time: Option<Duration>,
}

impl<'a> Candidate<'a> {
    /// The server.
    pub fn id(&self) -> ServerId {
        self.id
    }

    /// Its base URL, normalised.
    pub fn url(&self) -> &'a str {
        self.url
    }

    /// Its weight, above 0.
    pub fn weight(&self) -> u32 {
        self.weight
    }

    /// Its load: requests under way, and callers in line.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Callers in line.
    pub fn waiting(&self) -> u32 {
        self.waiting
    }

    /// Its idle connections.
    pub fn idle(&self) -> u32 {
        self.idle
    }

    /// Whether it has neither an idle connection nor room for a new one.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// The average time to the head of a response, of late; `None` before the first.
    pub fn response_time(&self) -> Option<Duration> {
        self.response_time
    }
}
