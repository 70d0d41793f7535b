//! [`Select`]: what a caller wishes for one request.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{Config, Retry, Steps};
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
    pub(crate) key: Option<Arc<[u8]>>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) priority: u8,
    /// Apart, since few requests have any of it, and a `Select` is moved about: each move more than
    /// a few words costs as much as the hand-over of a connection.
    rare: Option<Arc<Rare>>,
}

/// What few requests ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rare {
    prefer: Option<ServerId>,
    exclude: Vec<ServerId>,
    tag: Option<Tag>,
    absolute_form: bool,
    idempotent: Option<bool>,
    retry: Option<Retry>,
    times: Times,
}

/// The times of single steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Times {
    queue: Option<Duration>,
    connect: Option<Duration>,
    write: Option<Duration>,
    head: Option<Duration>,
    body: Option<Duration>,
    expect: Option<Duration>,
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
        Self { server: None, key: None, timeout: None, priority: 0, rare: None }
    }

    /// Only this server will do, whatever its weight and its health; but not if it is
    /// [disabled](crate::ServerState::Disabled).
    #[must_use]
    pub fn server(mut self, id: ServerId) -> Self {
        self.server = Some(id);
        self
    }

    /// This server, if it has an idle connection or room for a new one; otherwise as the strategy
    /// says.
    #[must_use]
    pub fn prefer(mut self, id: ServerId) -> Self {
        self.rare_mut().prefer = Some(id);
        self
    }

    /// Not this server. May be called for several.
    #[must_use]
    pub fn exclude(mut self, id: ServerId) -> Self {
        let exclude = &mut self.rare_mut().exclude;
        if !exclude.contains(&id) {
            exclude.push(id);
        }
        self
    }

    /// Only servers with this [tag](crate::Server::tag). Takes the place of an earlier tag.
    #[must_use]
    pub fn tag(mut self, tag: impl AsRef<str>) -> Self {
        self.rare_mut().tag = Some(Tag { name: tag.as_ref().into(), is_required: true });
        self
    }

    /// Servers with this [tag](crate::Server::tag), if one of them has an idle connection or room
    /// for a new one; otherwise any. Takes the place of an earlier tag.
    #[must_use]
    pub fn prefer_tag(mut self, tag: impl AsRef<str>) -> Self {
        self.rare_mut().tag = Some(Tag { name: tag.as_ref().into(), is_required: false });
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

    /// How long to wait in line, instead of the pool's `queue_timeout`.
    #[must_use]
    pub fn queue_timeout(mut self, timeout: Duration) -> Self {
        self.rare_mut().times.queue = Some(timeout);
        self
    }

    /// How long a connection that is opened for this request may take, resolving the name included,
    /// instead of the pool's `connect_timeout`.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.rare_mut().times.connect = Some(timeout);
        self
    }

    /// How long the server may take nothing of the request, instead of the pool's `write_timeout`.
    #[must_use]
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.rare_mut().times.write = Some(timeout);
        self
    }

    /// How long to wait for the response's head once the request is sent, instead of the pool's
    /// `response_head_timeout`.
    #[must_use]
    pub fn response_head_timeout(mut self, timeout: Duration) -> Self {
        self.rare_mut().times.head = Some(timeout);
        self
    }

    /// How long to wait for more of the response's body, instead of the pool's
    /// `body_read_timeout`.
    #[must_use]
    pub fn body_read_timeout(mut self, timeout: Duration) -> Self {
        self.rare_mut().times.body = Some(timeout);
        self
    }

    /// How long a body waits for a `100 Continue` that was asked for, instead of the pool's
    /// `expect_timeout`.
    #[must_use]
    pub fn expect_timeout(mut self, timeout: Duration) -> Self {
        self.rare_mut().times.expect = Some(timeout);
        self
    }

    /// The server is a proxy: the request's target is sent as a whole URL. A URL may then lead
    /// anywhere, and its authority is the `Host`; a path leads to the server itself. The scheme
    /// must be `http`.
    #[must_use]
    pub fn absolute_form(mut self) -> Self {
        self.rare_mut().absolute_form = true;
        self
    }

    /// Whether carrying the request out twice is the same as once, whatever its method and fields
    /// say: whether it may be repeated, once a server may have seen it. With `false` it is sent
    /// again only where nothing of it had been sent. See [`Retry`].
    #[must_use]
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.rare_mut().idempotent = Some(idempotent);
        self
    }

    /// When this request is sent again, and how soon, instead of the pool's
    /// [`retry`](crate::Config::retry). The pool's [budget](crate::RetryBudget) still holds.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.rare_mut().retry = Some(retry);
        self
    }

    /// Whether it asks for any of what few requests ask for.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.rare.is_none()
    }

    pub(crate) fn preferred(&self) -> Option<ServerId> {
        self.rare.as_ref()?.prefer
    }

    #[inline]
    pub(crate) fn excluded(&self) -> &[ServerId] {
        self.rare.as_ref().map_or(&[], |rare| &rare.exclude)
    }

    pub(crate) fn wanted_tag(&self) -> Option<&Tag> {
        self.rare.as_ref()?.tag.as_ref()
    }

    pub(crate) fn is_absolute(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.absolute_form)
    }

    /// The times of an exchange's steps, if one of them is not the pool's.
    pub(crate) fn steps(&self, config: &Config) -> Option<Box<Steps>> {
        let times = &self.rare.as_ref()?.times;
        let own = [times.write, times.head, times.body, times.expect];
        let steps = || Steps {
            write: times.write.or(config.write_timeout),
            head: times.head.or(config.response_head_timeout),
            body: times.body.or(config.body_read_timeout),
            expect: times.expect.unwrap_or(config.expect_timeout),
        };
        own.iter().any(Option::is_some).then(|| Box::new(steps()))
    }

    /// How long to wait in line, if not as long as the pool says.
    pub(crate) fn queue(&self) -> Option<Duration> {
        self.rare.as_ref()?.times.queue
    }

    /// How long connecting may take, if not as long as the pool says.
    pub(crate) fn connect(&self) -> Option<Duration> {
        self.rare.as_ref()?.times.connect
    }

    /// What the caller says about repeating the request.
    pub(crate) fn says_idempotent(&self) -> Option<bool> {
        self.rare.as_ref()?.idempotent
    }

    /// The caller's own policy of retries.
    pub(crate) fn own_retry(&self) -> Option<&Retry> {
        self.rare.as_ref()?.retry.as_ref()
    }

    fn rare_mut(&mut self) -> &mut Rare {
        Arc::make_mut(self.rare.get_or_insert_default())
    }
}
