//! Reads requests off a connection: as much of HTTP/1.1 as a test client sends.

use std::io::{self, BufRead, Read};

/// One request, whole.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// The value of the first field of this name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let field = self.headers.iter().find(|(field, _)| field.eq_ignore_ascii_case(name))?;
        Some(&field.1)
    }
}

/// The next request; `None` at a clean end of the connection.
pub(super) fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let start = read_line(reader)?;
    if start.is_empty() {
        return Ok(None);
    }
    let mut words = start.split(' ');
    let (Some(method), Some(target), Some("HTTP/1.1"), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(invalid("the request line"));
    };
    let mut request = Request {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: read_fields(reader)?,
        body: Vec::new(),
    };
    if request.header("host").is_none() {
        return Err(invalid("no Host field"));
    }
    request.body = read_body(&request, reader)?;
    Ok(Some(request))
}

fn read_fields(reader: &mut impl BufRead) -> io::Result<Vec<(String, String)>> {
    let mut fields = Vec::new();
    loop {
        let line = read_line(reader)?;
        if line.is_empty() {
            return Ok(fields);
        }
        let (name, value) = line.split_once(':').ok_or_else(|| invalid("a field"))?;
        fields.push((name.to_owned(), value.trim().to_owned()));
    }
}

fn read_body(request: &Request, reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if request.header("transfer-encoding").is_some_and(|value| value == "chunked") {
        loop {
            let line = read_line(reader)?;
            let size = line.split(';').next().unwrap_or_default();
            let size = u64::from_str_radix(size, 16).map_err(|_| invalid("a chunk's size"))?;
            if size == 0 {
                read_fields(reader)?;
                return Ok(body);
            }
            reader.take(size).read_to_end(&mut body)?;
            if !read_line(reader)?.is_empty() {
                return Err(invalid("the end of a chunk"));
            }
        }
    }
    if let Some(length) = request.header("content-length") {
        let length = length.parse().map_err(|_| invalid("the content's length"))?;
        let read = reader.take(length).read_to_end(&mut body)?;
        if read as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(body)
}

/// A line without its end; empty for an empty line and at the end of the stream.
fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    // Longer than any line a test sends: a runaway client must not fill the memory.
    let count = reader.take(1 << 20).read_line(&mut line)?;
    if count == 0 {
        return Ok(String::new());
    }
    let line = line.strip_suffix("\r\n").ok_or_else(|| invalid("the end of a line"))?;
    Ok(line.to_owned())
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the client got {what} wrong"))
}
