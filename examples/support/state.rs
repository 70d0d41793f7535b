//! How a server is doing, and why.

use evenkeel::{Health, ServerState, ServerStats};

/// What is shown of a server.
pub(crate) struct State {
    /// `up`, `doubt` or `down`: how it is drawn.
    pub(crate) level: &'static str,
    pub(crate) name: String,
    pub(crate) reason: String,
}

/// The state of a server: what its user has decided, or else its health.
pub(crate) fn of(server: &ServerStats) -> State {
    if server.state != ServerState::Active {
        let level = if server.is_healthy { "up" } else { "down" };
        return State { level, name: server.state.to_string(), reason: "as it was told".into() };
    }
    State {
        level: level(server.health),
        name: server.health.to_string(),
        reason: server.health_reason.to_string(),
    }
}

/// How a server's health is drawn.
pub(crate) fn level(health: Health) -> &'static str {
    match health {
        Health::Up => "up",
        Health::Down | Health::Ejected => "down",
        // It gets requests, and is yet to show that it is well.
        _ => "doubt",
    }
}
