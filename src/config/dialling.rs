//! [`Dialling`]: how connections are opened.

use std::time::Duration;

use super::check::{in_range, refuse};
use crate::error::Error;

/// How a pool opens connections: in which order addresses are tried, how long a name's addresses
/// are kept, and when a server that cannot be reached is left in peace for a while.
///
/// ```
/// use std::time::Duration;
/// use evenkeel::{Dialling, Pool};
///
/// let dialling = Dialling::new().min_ttl(Duration::from_secs(30)).attempts_at_once(1);
/// let pool = Pool::builder().dialling(dialling).build()?;
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dialling {
    /// How long an attempt to connect to one address has before the next address is tried beside
    /// it: the "Connection Attempt Delay" of RFC 8305 §5. An attempt that fails makes room at once.
    /// Default: 250 ms. Range: 10 ms to 10 s.
    pub attempt_delay: Duration,
    /// How many addresses of a name are tried at the same time, by one dial. Beyond, the oldest
    /// attempt makes room once it has had its fair share of the time. Default: 4. Range: 1 to 16; 1
    /// tries them one after the other, so that a limit on connections holds for half-open sockets,
    /// too.
    pub attempts_at_once: usize,
    /// How many addresses of a name one dial tries at most. Default: 16. Range: 1 to 256.
    pub max_addresses: usize,
    /// Whether dials begin at each of a name's addresses in turn, of the family that comes first,
    /// so that connections spread over all of them. Otherwise each begins with the resolver's
    /// first. Default: true.
    pub spread: bool,
    /// How long a name's addresses are used at least before it is looked up again, and how long if
    /// the resolver gives no TTL, as the system's does. Zero looks it up for each dial; those that
    /// come while one is under way share it. Default: 5 s. At most a day.
    pub min_ttl: Duration,
    /// How long they are used at most, whatever TTL the resolver gives. Default: 5 min. At least
    /// `min_ttl`, at most a day.
    pub max_ttl: Duration,
    /// How long a failed look-up is taken for the answer. Default: 1 s. At most a day; zero asks
    /// again at once.
    pub negative_ttl: Duration,
    /// How long addresses that are out of date are still used if the name cannot be looked up again
    /// (RFC 8767). Default: 5 min. At most a week; zero: not at all.
    pub stale_ttl: Duration,
    /// After how many failed dials in a row a server without any open connection is left in peace
    /// for a while. Zero: it is dialled for each request. Default: 3.
    pub failures_before_back_off: u32,
    /// How long the first of these pauses is; each one after another failure is twice as long, and
    /// each is shortened by up to a half, by chance. In them requests for the server fail at once,
    /// or go to another. Default: 100 ms. At least 1 ms.
    pub min_back_off: Duration,
    /// How long they are at most. Default: 2 s. At least `min_back_off`, at most an hour.
    pub max_back_off: Duration,
}

impl Default for Dialling {
    fn default() -> Self {
        Self {
            attempt_delay: Duration::from_millis(250),
            attempts_at_once: 4,
            max_addresses: 16,
            spread: true,
            min_ttl: Duration::from_secs(5),
            max_ttl: Duration::from_secs(5 * 60),
            negative_ttl: Duration::from_secs(1),
            stale_ttl: Duration::from_secs(5 * 60),
            failures_before_back_off: 3,
            min_back_off: Duration::from_millis(100),
            max_back_off: Duration::from_secs(2),
        }
    }
}

macro_rules! setters {
    ($($name:ident: $type:ty,)*) => {$(
        #[doc = concat!("See the [field](Self#structfield.", stringify!($name), ").")]
        #[must_use]
        pub fn $name(mut self, $name: $type) -> Self {
            self.$name = $name;
            self
        }
    )*};
}

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Dialling {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        attempt_delay: Duration,
        attempts_at_once: usize,
        max_addresses: usize,
        spread: bool,
        min_ttl: Duration,
        max_ttl: Duration,
        negative_ttl: Duration,
        stale_ttl: Duration,
        failures_before_back_off: u32,
        min_back_off: Duration,
        max_back_off: Duration,
    }

    pub(super) fn validate(&self) -> Result<(), Error> {
        let ms = Duration::from_millis;
        within("dialling.attempt_delay", self.attempt_delay, ms(10), ms(10_000))?;
        in_range("dialling.attempts_at_once", self.attempts_at_once, 1, 16)?;
        in_range("dialling.max_addresses", self.max_addresses, 1, 256)?;
        within("dialling.max_ttl", self.max_ttl, self.min_ttl, DAY)?;
        within("dialling.negative_ttl", self.negative_ttl, Duration::ZERO, DAY)?;
        within("dialling.stale_ttl", self.stale_ttl, Duration::ZERO, 7 * DAY)?;
        within("dialling.min_back_off", self.min_back_off, ms(1), HOUR)?;
        within("dialling.max_back_off", self.max_back_off, self.min_back_off, HOUR)
    }
}

fn within(name: &str, value: Duration, least: Duration, most: Duration) -> Result<(), Error> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(refuse(format!("{name} is {value:?}, and must be between {least:?} and {most:?}")))
}
