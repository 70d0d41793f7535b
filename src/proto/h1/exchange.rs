//! [`Exchange`]: one request and its response, as a state machine over bytes.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use http_body::SizeHint;

use super::buffer::Buffer;
use super::chunked::{self, ChunkedDecoder, Step};
use super::decode::{Decoded, HeadDecoder, HeadLimits, ResponseHead};
use super::encode::{self, BodyHint, RequestHead, Sending};
use super::error::{BodyLengthError, EncodeError, ProtocolError};
use super::framing::{self, Asked, BodyKind};

/// How many interim responses are skipped before the final one.
const MAX_INTERIM: u32 = 16;

/// What the next bytes of a response's body are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BodyEvent {
    /// More input is needed to tell.
    More,
    /// This many bytes of data; [`Exchange::took`] says how many of them were consumed.
    Data(usize),
    /// The body has ended.
    End(Option<HeaderMap>),
}

#[derive(Debug)]
enum Receiving {
    Head(HeadDecoder),
    Length {
        left: u64,
    },
    Chunked(ChunkedDecoder),
    Close,
    Done,
    /// The peer broke the protocol; it stays broken.
    Failed(ProtocolError),
}

/// One request and its response.
///
/// Request bytes are put into a buffer of the caller's; response bytes are shown to it, and it
/// answers how many it has used and what they mean. The two directions advance independently: a
/// response may be complete before the request is.
#[derive(Debug)]
pub(crate) struct Exchange {
    asked: Asked,
    sending: Sending,
    /// The body waits for a 100.
    expects: bool,
    receiving: Receiving,
    /// Neither side has said or done what forbids another exchange.
    persistent: bool,
    interim: u32,
    interim_bytes: usize,
    keep_alive: Option<Duration>,
    /// What comes behind the response is not HTTP any more.
    tunnel: bool,
}

/// A connection's state before its first exchange: as if one had just ended well.
impl Default for Exchange {
    fn default() -> Self {
        Self {
            asked: Asked::default(),
            sending: Sending::Done,
            expects: false,
            receiving: Receiving::Done,
            persistent: true,
            interim: 0,
            interim_bytes: 0,
            keep_alive: None,
            tunnel: false,
        }
    }
}

impl Exchange {
    /// Begins: the request's head is put into `out`.
    pub(crate) fn start(
        out: &mut Buffer,
        head: &RequestHead<'_>,
        body: &BodyHint,
    ) -> Result<Self, EncodeError> {
        let encoded = encode::request(out, head, body)?;
        Ok(Self {
            asked: encoded.asked,
            sending: encoded.sending,
            expects: encoded.expects,
            receiving: Receiving::Head(HeadDecoder::default()),
            persistent: !encoded.close,
            interim: 0,
            interim_bytes: 0,
            keep_alive: None,
            tunnel: false,
        })
    }

    /// Announces `len` bytes of the request's body, which are to follow what is put into `out`.
    //= https://www.rfc-editor.org/rfc/rfc9110#section-8.6
    //# A sender MUST NOT forward a message with a Content-Length header field value that is known
    //# to be incorrect.
    // A byte too many would be the start of another request.
    pub(crate) fn begin_data(&mut self, out: &mut Buffer, len: u64) -> Result<(), BodyLengthError> {
        match &mut self.sending {
            _ if len == 0 => {}
            Sending::Length { left } => {
                *left = left.checked_sub(len).ok_or(BodyLengthError::Long)?;
                if *left == 0 {
                    self.sending = Sending::Done;
                }
            }
            Sending::Chunked => chunked::put_size(out, len),
            Sending::Done => return Err(BodyLengthError::Long),
        }
        Ok(())
    }

    /// The bytes announced (at least one) have been put behind the announcement.
    pub(crate) fn end_data(&self, out: &mut Buffer) {
        if self.sending == Sending::Chunked {
            out.put(b"\r\n");
        }
    }

    /// The request's body has ended. Trailers are sent behind chunks; a body of stated length has
    /// no place for them, and they are left out, as RFC 9110 section 6.5.1 allows.
    #[inline]
    pub(crate) fn end_body(
        &mut self,
        out: &mut Buffer,
        trailers: Option<&HeaderMap>,
    ) -> Result<(), BodyLengthError> {
        match self.sending {
            Sending::Length { left } => return Err(BodyLengthError::Short { missing: left }),
            Sending::Chunked => {
                if trailers.is_some_and(|map| map.keys().any(forbidden_trailer)) {
                    return Err(BodyLengthError::Trailer);
                }
                chunked::put_end(out, trailers);
                self.sending = Sending::Done;
            }
            Sending::Done => {}
        }
        Ok(())
    }

    /// The body of the request is held back until the server asks for it.
    pub(crate) fn awaits_continue(&self) -> bool {
        self.expects
    }

    /// The body of the request is held back no longer.
    //= https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1
    //# A client that sends a 100-continue expectation is not required to wait for any specific
    //# length of time; such a client MAY proceed to send the message body even if it has not yet
    //# received a response.
    pub(crate) fn proceed(&mut self) {
        self.expects = false;
    }

    /// The last byte of the request has been put out.
    pub(crate) fn request_done(&self) -> bool {
        self.sending == Sending::Done
    }

    /// The rest of the request will not be sent: nothing may follow it on this connection.
    //= https://www.rfc-editor.org/rfc/rfc9112#section-9.5
    //# If the client sees a response that indicates the server does not wish to receive the
    //# message body and is closing the connection, the client SHOULD immediately cease
    //# transmitting the body and close its side of the connection.
    pub(crate) fn stop_sending(&mut self) {
        self.sending = Sending::Done;
        self.persistent = false;
    }

    /// Looks for the final head in `input`: all the bytes not used so far. Returns how many it
    /// used, and the head.
    //= https://www.rfc-editor.org/rfc/rfc9110#section-15.2
    //# A client MUST be able to parse one or more 1xx responses received prior to a final
    //# response, even if the client does not expect one.
    pub(crate) fn head(
        &mut self,
        input: &[u8],
        limits: &HeadLimits,
    ) -> Result<(usize, Option<ResponseHead>), ProtocolError> {
        let mut used = 0;
        loop {
            let decoder = match &mut self.receiving {
                Receiving::Head(decoder) => decoder,
                Receiving::Failed(error) => return Err(*error),
                _ => return Ok((used, None)),
            };
            match decoder.decode(&input[used..], limits) {
                Ok(Decoded::Partial) => return Ok((used, None)),
                Ok(Decoded::Interim { len, status, clean }) => {
                    used += len;
                    self.persistent &= clean;
                    self.expects &= status != StatusCode::CONTINUE;
                    self.count_interim(len, limits)?;
                }
                Ok(Decoded::Final { len, head, strict }) => {
                    self.persistent &= strict;
                    self.expects = false;
                    self.frame(&head, limits)?;
                    return Ok((used + len, Some(head)));
                }
                Err(error) => return Err(self.fail(error)),
            }
        }
    }

    fn count_interim(&mut self, len: usize, limits: &HeadLimits) -> Result<(), ProtocolError> {
        self.interim += 1;
        self.interim_bytes += len;
        if self.interim > MAX_INTERIM || self.interim_bytes > limits.max_bytes {
            return Err(self.fail(ProtocolError::TooManyInterim));
        }
        self.receiving = Receiving::Head(HeadDecoder::default());
        Ok(())
    }

    fn frame(&mut self, head: &ResponseHead, limits: &HeadLimits) -> Result<(), ProtocolError> {
        let framing = match framing::of_response(&self.asked, head) {
            Ok(framing) => framing,
            Err(error) => return Err(self.fail(error)),
        };
        self.persistent &= framing.persistent;
        self.keep_alive = framing.keep_alive;
        self.receiving = match framing.body {
            BodyKind::Empty => Receiving::Done,
            BodyKind::Length(left) => Receiving::Length { left },
            BodyKind::Chunked => Receiving::Chunked(ChunkedDecoder::new(limits.max_fields)),
            BodyKind::Close => Receiving::Close,
            BodyKind::Tunnel if !self.request_done() => {
                return Err(self.fail(ProtocolError::EarlyUpgrade));
            }
            BodyKind::Tunnel => {
                self.tunnel = true;
                Receiving::Done
            }
        };
        Ok(())
    }

    /// The final head has not come yet.
    pub(crate) fn awaits_head(&self) -> bool {
        matches!(self.receiving, Receiving::Head(_))
    }

    /// Looks for body data in `input`: all the bytes not used so far. Returns how many bytes of
    /// framing it used, and what comes behind them. Before the head it asks for more.
    pub(crate) fn body(&mut self, input: &[u8]) -> Result<(usize, BodyEvent), ProtocolError> {
        match &mut self.receiving {
            Receiving::Head(_) => Ok((0, BodyEvent::More)),
            Receiving::Done => Ok((0, BodyEvent::End(None))),
            Receiving::Failed(error) => Err(*error),
            _ if input.is_empty() => Ok((0, BodyEvent::More)),
            Receiving::Close => Ok((0, BodyEvent::Data(input.len()))),
            Receiving::Length { left } => {
                let left = usize::try_from(*left).unwrap_or(usize::MAX);
                Ok((0, BodyEvent::Data(left.min(input.len()))))
            }
            Receiving::Chunked(decoder) => match decoder.step(input) {
                Ok((used, Step::More)) => Ok((used, BodyEvent::More)),
                Ok((used, Step::Data(n))) => Ok((used, BodyEvent::Data(n))),
                Ok((used, Step::End(trailers))) => {
                    self.receiving = Receiving::Done;
                    Ok((used, BodyEvent::End(trailers)))
                }
                Err(error) => Err(self.fail(error)),
            },
        }
    }

    /// `n` bytes of data were consumed, at most as many as were announced.
    #[inline]
    pub(crate) fn took(&mut self, n: usize) {
        match &mut self.receiving {
            Receiving::Length { left } => {
                *left = left.saturating_sub(n as u64);
                if *left == 0 {
                    self.receiving = Receiving::Done;
                }
            }
            Receiving::Chunked(decoder) => decoder.took(n),
            _ => {}
        }
    }

    /// The peer has closed its side. Whether the response is complete so.
    //= https://www.rfc-editor.org/rfc/rfc9112#section-6.3
    //# If the sender closes the connection or the recipient times out before the indicated
    //# number of octets are received, the recipient MUST consider the message to be incomplete
    //# and close the connection.
    pub(crate) fn end_of_stream(&mut self) -> bool {
        self.persistent = false;
        if matches!(self.receiving, Receiving::Close) {
            self.receiving = Receiving::Done;
        }
        self.response_done()
    }

    /// The last byte of the response has been used.
    pub(crate) fn response_done(&self) -> bool {
        matches!(self.receiving, Receiving::Done)
    }

    /// The response has turned the connection into something else than HTTP.
    pub(crate) fn is_tunnel(&self) -> bool {
        self.tunnel
    }

    /// How long the peer said, in its response, that it keeps the connection.
    pub(crate) fn keep_alive(&self) -> Option<Duration> {
        self.keep_alive
    }

    /// Both directions are complete, and neither forbids another exchange on the connection.
    pub(crate) fn reusable(&self) -> bool {
        self.persistent && self.request_done() && self.response_done()
    }

    /// What is known of the length of the body's rest.
    pub(crate) fn size_hint(&self) -> SizeHint {
        match self.receiving {
            Receiving::Length { left } => SizeHint::with_exact(left),
            Receiving::Done => SizeHint::with_exact(0),
            _ => SizeHint::default(),
        }
    }

    fn fail(&mut self, error: ProtocolError) -> ProtocolError {
        self.receiving = Receiving::Failed(error);
        self.persistent = false;
        error
    }
}

/// Whether a field has no meaning, or a dangerous one, behind the body. What is not known here is
/// the caller's to know.
//= https://www.rfc-editor.org/rfc/rfc9110#section-6.5.1
//# A sender MUST NOT generate a trailer field unless the sender knows the corresponding header
//# field name's definition permits sending the field in trailers
//= https://www.rfc-editor.org/rfc/rfc9110#section-6.5.1
//# Many fields cannot be processed outside the header section because their evaluation is
//# necessary prior to receiving the content, such as those that describe message framing,
//# routing, authentication, request modifiers, response controls, or content format.
fn forbidden_trailer(name: &header::HeaderName) -> bool {
    const FORBIDDEN: [header::HeaderName; 23] = [
        // Framing, and the connection.
        header::TRANSFER_ENCODING,
        header::CONTENT_LENGTH,
        header::CONNECTION,
        header::TRAILER,
        header::TE,
        header::UPGRADE,
        // Routing.
        header::HOST,
        header::MAX_FORWARDS,
        // Authentication.
        header::AUTHORIZATION,
        header::PROXY_AUTHORIZATION,
        header::COOKIE,
        // What changes the meaning of the request.
        header::EXPECT,
        header::CACHE_CONTROL,
        header::PRAGMA,
        header::RANGE,
        header::IF_MATCH,
        header::IF_NONE_MATCH,
        header::IF_MODIFIED_SINCE,
        header::IF_UNMODIFIED_SINCE,
        header::IF_RANGE,
        // The format of the content.
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::CONTENT_RANGE,
    ];
    FORBIDDEN.contains(name)
}

#[cfg(test)]
mod tests;
