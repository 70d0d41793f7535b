//! [`SocketOptions`]: what is set on each socket that a pool opens.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::check::{in_range, positive, refuse};
use crate::error::Error;

/// Options of the sockets that a pool opens. They are set before a socket is connected.
///
/// ```
/// use std::time::Duration;
/// use evenkeel::{Pool, SocketOptions};
///
/// let options = SocketOptions::new()
///     .local_v4("127.0.0.1".parse().unwrap())
///     .user_timeout(Duration::from_secs(20));
/// let pool = Pool::builder().socket_options(options).build()?;
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// An option that the platform does not know fails each connect with an error that names it. None
/// but the sizes of the buffers concerns Unix-domain sockets. TCP keep-alive is switched on and off
/// by [`Config::keep_alive_timeout`](crate::Config::keep_alive_timeout).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SocketOptions {
    /// Sends small writes at once (`TCP_NODELAY`). Default: true.
    pub no_delay: bool,
    /// How long after an unanswered keep-alive probe the next one is sent (`TCP_KEEPINTVL`). Whole
    /// seconds. Default: `None`, as long as the silence before the first.
    pub keep_alive_interval: Option<Duration>,
    /// How many unanswered keep-alive probes end a connection (`TCP_KEEPCNT`). 1 to 127.
    /// Default: `None`, the system's, which is 9 on Linux.
    pub keep_alive_count: Option<u32>,
    /// How long sent data may stay unacknowledged before the connection is ended
    /// (`TCP_USER_TIMEOUT`, RFC 5482; Linux and Android only). Whole milliseconds.
    /// Default: `None`, the system's, which is about 15 minutes on Linux.
    pub user_timeout: Option<Duration>,
    /// The size of the kernel's buffer for what is sent (`SO_SNDBUF`), in bytes; Linux reserves
    /// twice as much. 1 KiB to 1 GiB. Default: `None`, the system's, which adapts itself.
    pub send_buffer: Option<usize>,
    /// The same for what is received (`SO_RCVBUF`).
    pub receive_buffer: Option<usize>,
    /// The local address of connections over IPv4. Default: `None`, the system's choice.
    pub local_v4: Option<Ipv4Addr>,
    /// The local address of connections over IPv6. Default: `None`, the system's choice.
    pub local_v6: Option<Ipv6Addr>,
    /// The network interface that connections must use, by name (`SO_BINDTODEVICE`; Linux and
    /// Android only, and before Linux 5.7 for privileged processes only). Default: `None`, any.
    pub interface: Option<String>,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            no_delay: true,
            keep_alive_interval: None,
            keep_alive_count: None,
            user_timeout: None,
            send_buffer: None,
            receive_buffer: None,
            local_v4: None,
            local_v6: None,
            interface: None,
        }
    }
}

macro_rules! setters {
    ($($name:ident: $type:ty,)*) => {$(
        #[doc = concat!("See the [field](Self#structfield.", stringify!($name), ").")]
        #[must_use]
        pub fn $name(mut self, $name: $type) -> Self {
            self.$name = Some($name.into());
            self
        }
    )*};
}

impl SocketOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// See the [field](Self#structfield.no_delay).
    #[must_use]
    pub fn no_delay(mut self, no_delay: bool) -> Self {
        self.no_delay = no_delay;
        self
    }

    setters! {
        keep_alive_interval: Duration,
        keep_alive_count: u32,
        user_timeout: Duration,
        send_buffer: usize,
        receive_buffer: usize,
        local_v4: Ipv4Addr,
        local_v6: Ipv6Addr,
        interface: impl Into<String>,
    }

    pub(super) fn validate(&self) -> Result<(), Error> {
        let times = [
            ("socket_options.keep_alive_interval", self.keep_alive_interval),
            ("socket_options.user_timeout", self.user_timeout),
        ];
        for (name, time) in times {
            time.map_or(Ok(()), |time| positive(name, time))?;
        }
        // The kernel takes milliseconds in 32 bits, and ignores what is less than one.
        let millis = self.user_timeout.map(|time| time.as_millis());
        if millis.is_some_and(|millis| !(1..=u128::from(u32::MAX)).contains(&millis)) {
            return Err(refuse(
                "socket_options.user_timeout must be between 1 ms and 49 days".to_owned(),
            ));
        }
        if let Some(count) = self.keep_alive_count {
            in_range("socket_options.keep_alive_count", count as usize, 1, 127)?;
        }
        for (name, size) in [
            ("socket_options.send_buffer", self.send_buffer),
            ("socket_options.receive_buffer", self.receive_buffer),
        ] {
            size.map_or(Ok(()), |size| in_range(name, size, 1 << 10, 1 << 30))?;
        }
        match &self.interface {
            // IFNAMSIZ is 16 with the terminating zero.
            Some(name) if name.is_empty() || name.len() > 15 || name.contains('\0') => {
                Err(refuse("socket_options.interface must be a name of 1 to 15 bytes".to_owned()))
            }
            _ => Ok(()),
        }
    }
}
