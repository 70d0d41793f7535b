//! Ways to read a body, beside [`Body::bytes`]: up to a bound, into a writer, as JSON.

use std::future::poll_fn;
use std::pin::{Pin, pin};

use bytes::{Bytes, BytesMut};
use futures_io::AsyncWrite;
use futures_lite::AsyncWriteExt;

use super::body::{Body, LeasedBody};
use crate::error::{Error, ErrorKind};

impl Body {
    /// Reads the whole body, unless it is longer than `max` bytes. A length that is stated is
    /// believed: then nothing is read.
    ///
    /// ```no_run
    /// # async fn example(pool: evenkeel::Pool) -> Result<(), evenkeel::Error> {
    /// let body = pool.get("/feed").await?.into_body();
    /// let bytes = body.bytes_up_to(1 << 20).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Body`] if it is longer; otherwise as [`bytes`](Self::bytes).
    ///
    /// # Cancel safety
    /// As [`bytes`](Self::bytes).
    pub async fn bytes_up_to(self, max: usize) -> Result<Bytes, Error> {
        collect(self, max).await
    }

    /// Writes the body to `writer` as it comes, and flushes it; how many bytes there were. A writer
    /// that is slow slows the server down. Trailers are left out.
    ///
    /// ```no_run
    /// # async fn example(pool: evenkeel::Pool) -> Result<(), evenkeel::Error> {
    /// let body = pool.get("/archive").await?.into_body();
    /// let length = body.copy_to(futures_lite::io::sink()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Body`] if the writer fails, with its error as the source; otherwise as
    /// [`bytes`](Self::bytes).
    ///
    /// # Cancel safety
    /// Dropping the future drops the body. What the writer has taken is not known then.
    pub async fn copy_to<W: AsyncWrite>(self, writer: W) -> Result<u64, Error> {
        copy(self, writer).await
    }

    /// Reads the whole body as JSON; however long it is, as [`bytes`](Self::bytes) does.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes); [`ErrorKind::Body`] if it is not the JSON that was expected.
    ///
    /// # Cancel safety
    /// As [`bytes`](Self::bytes).
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub async fn json<T: serde::de::DeserializeOwned>(self) -> Result<T, Error> {
        json(&self.bytes().await?)
    }

    /// A body of JSON, for a request. Its `Content-Type` is the caller's to set.
    ///
    /// ```
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let body = evenkeel::Body::from_json(&[1, 2, 3])?;
    /// let request = http::Request::post("/sums")
    ///     .header("content-type", "application/json")
    ///     .body(body)?;
    /// # drop(request);
    /// # Ok(())
    /// # }
    /// # example().unwrap();
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Body`] if the value cannot be JSON: a map whose keys are not text, say.
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub fn from_json<T: serde::Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        let bytes = serde_json::to_vec(value).map_err(|source| {
            Error::new(ErrorKind::Body, "the value cannot be JSON")
                .with_source(source)
                .retry_safe(true)
        })?;
        Ok(bytes.into())
    }
}

impl LeasedBody<'_> {
    /// Reads the whole body, unless it is too long: see [`Body::bytes_up_to`].
    ///
    /// # Errors
    /// As [`Body::bytes_up_to`].
    ///
    /// # Cancel safety
    /// As [`Body::bytes_up_to`].
    pub async fn bytes_up_to(self, max: usize) -> Result<Bytes, Error> {
        collect(self, max).await
    }

    /// Writes the body to `writer` as it comes: see [`Body::copy_to`].
    ///
    /// # Errors
    /// As [`Body::copy_to`].
    ///
    /// # Cancel safety
    /// As [`Body::copy_to`].
    pub async fn copy_to<W: AsyncWrite>(self, writer: W) -> Result<u64, Error> {
        copy(self, writer).await
    }

    /// Reads the whole body as JSON: see [`Body::json`].
    ///
    /// # Errors
    /// As [`Body::json`].
    ///
    /// # Cancel safety
    /// As [`Body::json`].
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub async fn json<T: serde::de::DeserializeOwned>(self) -> Result<T, Error> {
        json(&self.bytes().await?)
    }
}

/// How much is reserved for a body on its peer's word alone.
const MAX_RESERVE: u64 = 1 << 20;

/// Reads a whole body of at most `max` bytes. One that comes in one piece is not copied.
pub(super) async fn collect<B>(mut body: B, max: usize) -> Result<Bytes, Error>
where
    B: http_body::Body<Data = Bytes, Error = Error> + Unpin,
{
    let too_long = || Error::new(ErrorKind::Body, format!("the body is longer than {max} bytes"));
    if body.size_hint().lower() > max as u64 {
        return Err(too_long());
    }
    let mut first = None;
    let mut all = BytesMut::new();
    let mut room = max;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        room = room.checked_sub(data.len()).ok_or_else(too_long)?;
        match first.take() {
            None if all.is_empty() => first = Some(data),
            None => all.extend_from_slice(&data),
            Some(before) => {
                // The stated length is the peer's word: worth a buffer, not a fortune.
                let rest = usize::try_from(body.size_hint().lower().min(MAX_RESERVE)).unwrap_or(0);
                all.reserve(before.len() + data.len() + rest);
                all.extend_from_slice(&before);
                all.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| all.freeze()))
}

pub(super) fn text(bytes: Bytes) -> Result<String, Error> {
    String::from_utf8(bytes.into())
        .map_err(|source| Error::new(ErrorKind::Body, "the body is not UTF-8").with_source(source))
}

async fn copy<B>(mut body: B, writer: impl AsyncWrite) -> Result<u64, Error>
where
    B: http_body::Body<Data = Bytes, Error = Error> + Unpin,
{
    let failed = |source| {
        Error::new(ErrorKind::Body, "the body could not be written to its reader")
            .with_source(source)
    };
    let mut writer = pin!(writer);
    let mut length = 0;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame?.into_data() {
            writer.write_all(&data).await.map_err(failed)?;
            length += data.len() as u64;
        }
    }
    writer.flush().await.map_err(failed)?;
    Ok(length)
}

#[cfg(feature = "json")]
fn json<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|source| {
        // Where, and not what: the text of the source may show what the body holds.
        let message = format!(
            "the body is not the JSON that was expected (line {}, column {})",
            source.line(),
            source.column()
        );
        Error::new(ErrorKind::Body, message).with_source(source)
    })
}
