//! [`Select`]: what a caller wishes for one request.

use std::sync::Arc;
use std::time::Duration;

use crate::server::ServerId;

/// A caller's wishes for one request: which server, how urgent, how long.
///
/// Given to [`Pool::checkout`](crate::Pool::checkout), or put into the extensions of an
/// [`http::Request`] for [`Pool::send`](crate::Pool::send).
///
/// ```
/// use std::time::Duration;
/// use evenkeel::Select;
///
/// let urgent = Select::new().priority(1).timeout(Duration::from_secs(2));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Select {
    pub(crate) server: Option<ServerId>,
    pub(crate) prefer: Option<ServerId>,
    pub(crate) exclude: Vec<ServerId>,
    pub(crate) tag: Option<Tag>,
    pub(crate) key: Option<Arc<[u8]>>,
    pub(crate) priority: u8,
    pub(crate) timeout: Option<Duration>,
}

/// A tag that a server should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) name: Arc<str>,
    /// No other server will do.
    pub(crate) is_required: bool,
}

/// What those ask for who ask for nothing.
pub(crate) static ANY: Select = Select::any();

/// How many priority classes waiting callers are sorted into.
pub(crate) const CLASSES: u8 = 8;

impl Select {
    /// No wishes: any server, priority 0, the pool's own timeout.
    #[must_use]
    pub fn new() -> Self {
        Self::any()
    }

    const fn any() -> Self {
        Self {
            server: None,
            prefer: None,
            exclude: Vec::new(),
            tag: None,
            key: None,
            priority: 0,
            timeout: None,
        }
    }

    /// Only this server will do.
    #[must_use]
    pub fn server(mut self, id: ServerId) -> Self {
        self.server = Some(id);
        self
    }

    /// This server, if it has an idle connection or room for a new one; otherwise as the strategy
    /// says.
    #[must_use]
    pub fn prefer(mut self, id: ServerId) -> Self {
        self.prefer = Some(id);
        self
    }

    /// Not this server. May be called for several.
    #[must_use]
    pub fn exclude(mut self, id: ServerId) -> Self {
        if !self.exclude.contains(&id) {
            self.exclude.push(id);
        }
        self
    }

    /// Only servers with this [tag](crate::Server::tag). Takes the place of an earlier tag.
    #[must_use]
    pub fn tag(mut self, tag: impl AsRef<str>) -> Self {
        self.tag = Some(Tag { name: tag.as_ref().into(), is_required: true });
        self
    }

    /// Servers with this [tag](crate::Server::tag), if one of them has an idle connection or room
    /// for a new one; otherwise any. Takes the place of an earlier tag.
    #[must_use]
    pub fn prefer_tag(mut self, tag: impl AsRef<str>) -> Self {
        self.tag = Some(Tag { name: tag.as_ref().into(), is_required: false });
        self
    }

    /// On whose behalf the request is: requests of one client go to the same server, if the
    /// strategy is [`IpHash`](crate::Strategy::IpHash) or
    /// [`BoundedLoadHash`](crate::Strategy::BoundedLoadHash). An address will do, or any other
    /// name. An empty one is none.
    #[must_use]
    pub fn client_id(self, id: impl AsRef<str>) -> Self {
        self.hash_key(id.as_ref())
    }

    /// As [`client_id`](Self::client_id), with any bytes. Takes the place of an earlier one.
    #[must_use]
    pub fn hash_key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.key = Some(key.as_ref().into());
        self
    }

    /// When callers wait for a connection, a higher priority is served sooner; callers of equal
    /// priority are served in order. There are eight classes, 0 to 7; higher values count as 7.
    /// Default: 0.
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = priority.min(CLASSES - 1);
        self
    }

    /// How long the whole request may take, instead of the pool's `request_timeout`.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}
