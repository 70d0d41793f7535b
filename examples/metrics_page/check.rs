//! Looks at the page as a browser would, and tells whether it shows what happens.

use std::error::Error;
use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use evenkeel::{Body, Pool, Server};
use http_body::Body as _;
use serde_json::Value;

/// The server that is stopped must be seen to come back within this time.
const PATIENCE: Duration = Duration::from_secs(60);

/// No sample is larger.
const MOST: usize = 1 << 20;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Fetches everything that is served at this URL. `stopped` is the URL of the server that is
/// stopped and brought back.
pub(crate) async fn run(url: &str, stopped: &str) -> Outcome<()> {
    let pool = Pool::builder().server(Server::new(url)?).request_timeout(PATIENCE).build()?;
    let page = fetch(&pool, "/", "200 OK", "text/html; charset=utf-8").await?;
    require(page.contains("new EventSource(\"/events\")"), "the page does not ask for events")?;
    require(is_by_itself(&page), "the page asks for something elsewhere")?;
    let text = fetch(&pool, "/metrics", "200 OK", "text/plain; version=0.0.4").await?;
    require(text.contains("\nevenkeel_pool_servers 4\n"), "/metrics does not have four servers")?;
    fetch(&pool, "/nothing", "404 Not Found", "text/plain").await?;

    let mut frames = Frames::open(&pool).await?;
    let first = frames.next().await?;
    let (mut last, mut seen) = (first.clone(), Vec::new());
    // Well, then not, then well again.
    while seen != ["up", "down", "up"] {
        let frame = frames.next().await?;
        let level = level(&frame, stopped)?;
        if level != "doubt" && seen.last().is_none_or(|last| *last != level) {
            println!("{:5.1} s: {stopped} is {level}", frame["uptime"].as_f64().unwrap_or(0.0));
            seen.push(level);
        }
        require(number(&frame, "requests") >= number(&last, "requests"), "requests run backwards")?;
        last = frame;
    }
    require(number(&last, "requests") > number(&first, "requests"), "the figures do not move")?;
    let told = last["events"].as_array().into_iter().flatten();
    let host = stopped.trim_start_matches("http://");
    let told = told.filter(|event| event["server"] == host).count();
    require(told > 1, "the events do not tell that a server was down")?;
    println!(
        "{} requests, {told} events of the server that was stopped",
        last["totals"]["requests"]
    );
    Ok(())
}

async fn fetch(pool: &Pool, path: &str, status: &str, kind: &str) -> Outcome<String> {
    let response = pool.get(path).await?;
    require(response.status().to_string() == status, &format!("{path} is not {status}"))?;
    let given = response.headers().get("content-type").and_then(|kind| kind.to_str().ok());
    let right = given.is_some_and(|given| given.starts_with(kind));
    require(right, &format!("the content of {path} is {given:?}, not {kind}"))?;
    Ok(response.into_body().text().await?)
}

/// Whether nothing in the page is loaded from elsewhere.
fn is_by_itself(page: &str) -> bool {
    !["src=", "href=\"http", "href=\"//", "url(", "@import"].iter().any(|sign| page.contains(sign))
}

fn level(frame: &Value, url: &str) -> Outcome<String> {
    let mut servers = frame["servers"].as_array().into_iter().flatten();
    let level = servers.find(|server| server["url"] == url).and_then(|one| one["level"].as_str());
    level.map(str::to_owned).ok_or_else(|| format!("{url} is not on the page").into())
}

fn number(frame: &Value, name: &str) -> u64 {
    frame["totals"][name].as_u64().unwrap_or(0)
}

fn require(holds: bool, complaint: &str) -> Outcome<()> {
    if holds { Ok(()) } else { Err(complaint.into()) }
}

/// The samples, as they come.
struct Frames {
    body: Body,
    text: String,
}

impl Frames {
    async fn open(pool: &Pool) -> Outcome<Self> {
        let response = pool.get("/events").await?;
        let kind = response.headers().get("content-type").map(|kind| kind.as_bytes());
        require(kind == Some(b"text/event-stream"), "/events are no events")?;
        Ok(Self { body: response.into_body(), text: String::new() })
    }

    async fn next(&mut self) -> Outcome<Value> {
        loop {
            if let Some((frame, rest)) = self.text.split_once("\n\n") {
                let data = frame.strip_prefix("data: ").ok_or("an event without data")?;
                let value: Value = serde_json::from_str(data)?;
                self.text = rest.to_owned();
                // The first may come before there is a sample.
                if !value.is_null() {
                    return Ok(value);
                }
                continue;
            }
            require(self.text.len() < MOST, "a sample has no end")?;
            let mut body = pin!(&mut self.body);
            let frame = poll_fn(|cx| body.as_mut().poll_frame(cx)).await;
            let frame = frame.ok_or("the events have ended")??;
            if let Ok(data) = frame.into_data() {
                self.text.push_str(std::str::from_utf8(&data)?);
            }
        }
    }
}
