//! The sixteen parameters of the original: each is here under its name in snake case, with its
//! default, and with a test that shows its effect; or it says what it waits for.

use std::time::Duration;

use evenkeel::Config;

use crate::support::{Server, assert_balanced, block_on, builder_of, get_text};

const MOMENT: Duration = Duration::from_millis(1);

/// Where a parameter is.
enum Place {
    /// A field of [`Config`], as its value is written, and the test that shows its effect.
    Field(fn(&Config) -> String, &'static str),
    /// Not here yet; the part that brings it.
    Waits(&'static str),
}

use Place::{Field, Waits};

/// Name, default, place.
const PARAMETERS: [(&str, &str, Place); 16] = [
    (
        "max_connections_per_server",
        "100",
        Field(
            |c| c.max_connections_per_server.to_string(),
            "twenty_thousand_requests_keep_the_limit_under_block_on",
        ),
    ),
    (
        "max_total_connections",
        "1000",
        Field(
            |c| c.max_total_connections.to_string(),
            "a_total_limit_below_what_the_servers_want_is_kept_and_starves_nobody",
        ),
    ),
    (
        "max_idle_connections",
        "50",
        Field(
            |c| c.max_idle_connections.to_string(),
            "above_the_cap_the_longest_idle_of_all_servers_is_closed",
        ),
    ),
    (
        "max_idle_time",
        "300s",
        Field(
            |c| format!("{:?}", c.max_idle_time),
            "an_idle_connection_is_used_one_millisecond_before_its_limit_and_closed_at_it",
        ),
    ),
    (
        "connect_timeout",
        "10s",
        Field(
            |c| format!("{:?}", c.connect_timeout),
            "connecting_to_a_black_hole_ends_at_the_connect_timeout",
        ),
    ),
    (
        "request_timeout",
        "Some(30s)",
        Field(
            |c| format!("{:?}", c.request_timeout),
            "the_request_timeout_ends_the_wait_for_the_head",
        ),
    ),
    (
        "keep_alive_timeout",
        "Some(30s)",
        Field(
            |c| format!("{:?}", c.keep_alive_timeout),
            "keep_alive_timeout_reaches_the_connector",
        ),
    ),
    (
        "idle_conn_timeout",
        "90s",
        Field(
            |c| format!("{:?}", c.idle_conn_timeout),
            "a_checkout_without_background_closes_the_surplus_and_takes_the_floor",
        ),
    ),
    ("health_check_interval", "30s", Waits("health checks")),
    ("health_check_timeout", "5s", Waits("health checks")),
    ("health_check_path", "/health", Waits("health checks")),
    ("unhealthy_threshold", "3", Waits("health checks")),
    ("healthy_threshold", "2", Waits("health checks")),
    (
        "load_balance_strategy",
        "RoundRobin",
        Field(
            |c| c.load_balance_strategy.to_string(),
            "weighted_round_robin_is_exact_in_each_period",
        ),
    ),
    (
        "cleanup_interval",
        "60s",
        Field(
            |c| format!("{:?}", c.cleanup_interval),
            "an_expired_connection_is_closed_within_one_cleanup_interval",
        ),
    ),
    (
        "metrics_interval",
        "10s",
        Field(
            |c| format!("{:?}", c.metrics_interval),
            "metrics_interval_is_over_how_much_time_rates_are_told",
        ),
    ),
];

/// Settings that the original did not have, and the tests that show their effects.
const OWN: &[(&str, &str)] = &[
    ("hold_warning", "hold_warning_is_how_long_a_checkout_may_be_out"),
    ("max_lifetime", "a_connection_is_used_until_its_lifetime_ends_and_not_after"),
    ("max_requests_per_connection", "a_connection_carries_as_many_requests_as_it_may_and_no_more"),
    ("min_idle", "a_floor_is_filled_before_the_first_request_and_again_after_each_loss"),
    ("learn_idle_limit", "a_pool_that_is_not_to_learn_does_not"),
    ("watch_interval", "nothing_is_watched_if_that_is_not_wanted"),
    ("queue_timeout", "the_wait_in_line_ends_at_its_own_time"),
    ("write_timeout", "a_write_that_is_held_up_ends_at_its_own_time"),
    ("response_head_timeout", "the_wait_for_the_head_ends_at_its_own_time"),
    ("body_read_timeout", "a_body_that_stalls_ends_at_its_own_time"),
    ("expect_timeout", "a_body_waits_for_leave_no_longer_than_it_may"),
    ("max_head_size", "a_head_at_the_limits_is_accepted_and_one_over_refused"),
    ("max_headers", "a_head_at_the_limits_is_accepted_and_one_over_refused"),
    ("max_waiters", "the_last_place_in_line_is_given_and_one_over_is_refused"),
    ("handoff_grace", "handoff_grace_is_how_long_a_caller_may_take"),
    ("ewma_decay", "a_server_that_has_recovered_is_asked_again_as_the_peak_falls_off"),
    ("hash_balance_factor", "a_hot_key_spills_over_when_its_server_has_more_than_its_share"),
    ("seed", "with_a_seed_the_same_calls_make_the_same_picks"),
    ("retry", "a_request_is_sent_as_often_as_it_may_and_no_more"),
    ("retry_budget", "the_budget_is_what_its_settings_say"),
    ("max_connecting", "as_many_dials_run_at_once_as_may_and_never_one_more"),
    ("dialling", "the_delay_can_be_set"),
    ("attempt_delay", "the_delay_can_be_set"),
    ("attempts_at_once", "no_more_attempts_run_at_once_than_may"),
    ("max_addresses", "no_more_addresses_are_tried_than_may"),
    ("spread", "dials_begin_at_each_address_in_turn_unless_told_otherwise"),
    ("min_ttl", "an_answer_is_used_until_its_time_is_up"),
    ("max_ttl", "an_answer_is_used_until_its_time_is_up"),
    ("negative_ttl", "a_failure_is_the_answer_for_a_while"),
    ("stale_ttl", "old_addresses_are_used_if_the_name_cannot_be_looked_up"),
    (
        "failures_before_back_off",
        "a_server_that_fails_as_often_as_it_may_is_left_in_peace_and_not_before",
    ),
    ("min_back_off", "pauses_double_up_to_the_longest"),
    ("max_back_off", "pauses_double_up_to_the_longest"),
    ("socket_options", "options_are_set_on_the_socket"),
    ("no_delay", "options_are_set_on_the_socket"),
    ("keep_alive_interval", "options_are_set_on_the_socket"),
    ("keep_alive_count", "options_are_set_on_the_socket"),
    ("user_timeout", "options_are_set_on_the_socket"),
    ("send_buffer", "options_are_set_on_the_socket"),
    ("receive_buffer", "options_are_set_on_the_socket"),
    ("local_v4", "options_are_set_on_the_socket"),
    ("local_v6", "options_are_set_on_the_socket"),
    ("interface", "options_are_set_on_the_socket"),
];

/// The suites in which the tests of the tables must be found.
const SUITES: &[&str] = &[
    include_str!("../../src/conn/dial/tests/names.rs"),
    include_str!("../../src/conn/dial/tests/race.rs"),
    include_str!("../../src/rt/tokio/tests.rs"),
    include_str!("events.rs"),
    include_str!("metrics_lately.rs"),
    include_str!("limits.rs"),
    include_str!("pooling.rs"),
    include_str!("sim_back_off.rs"),
    include_str!("sim_balancing.rs"),
    include_str!("sim_budget.rs"),
    include_str!("sim_dial.rs"),
    include_str!("sim_expiry.rs"),
    include_str!("sim_floor.rs"),
    include_str!("sim_handoff.rs"),
    include_str!("sim_learned.rs"),
    include_str!("sim_queue.rs"),
    include_str!("sim_retire.rs"),
    include_str!("sim_retry.rs"),
    include_str!("sim_steps.rs"),
    include_str!("sim_timeouts.rs"),
    include_str!("sim_watch.rs"),
    include_str!("wire.rs"),
];

fn has_test(name: &str) -> bool {
    SUITES.iter().any(|suite| suite.contains(&format!("#[test]\nfn {name}()")))
}

#[test]
fn every_parameter_has_its_default_and_a_test_of_its_effect() {
    let config = Config::default();
    let fields = format!("{config:?}");
    for (name, default, place) in &PARAMETERS {
        let is_field = fields.contains(&format!(" {name}:"));
        match place {
            Field(value, test) => {
                assert!(is_field, "{name} is no field");
                assert_eq!(value(&config), *default, "{name}");
                assert!(has_test(test), "{name}: there is no test {test}");
            }
            Waits(part) => {
                assert!(!is_field, "{name} is a field: it no longer waits for {part}");
            }
        }
    }
}

#[test]
fn no_parameter_is_listed_twice() {
    let mut names: Vec<_> = PARAMETERS.iter().map(|(name, ..)| name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 16);
}

#[test]
fn every_setting_of_our_own_has_a_test_of_its_effect() {
    for (name, test) in OWN {
        assert!(has_test(test), "{name}: there is no test {test}");
    }
}

/// The names of a structure's own fields, and not of those within them.
fn fields_of(debug: &str) -> Vec<&str> {
    let mut depth = 0;
    let mut fields = Vec::new();
    for word in debug.split(' ') {
        match word {
            "{" => depth += 1,
            _ if depth == 1 && word.ends_with(':') => fields.push(word.trim_end_matches(':')),
            _ => depth -= word.matches('}').count(),
        }
    }
    fields
}

#[test]
fn no_setting_is_missing_from_the_tables() {
    for name in fields_of(&format!("{:?}", Config::default())) {
        let seeded = PARAMETERS.iter().any(|(known, ..)| *known == name);
        assert!(seeded || OWN.iter().any(|(known, _)| *known == name), "{name} is in no table");
    }
}

#[test]
fn cleanup_interval_closes_expired_connections_without_any_request() {
    block_on(|| async {
        let server = Server::start();
        let builder = builder_of(&[&server]).idle_conn_timeout(MOMENT);
        let pool = builder.cleanup_interval(MOMENT * 5).build().unwrap();
        get_text(&pool, "/").await.unwrap();
        server.until(|counts| counts.open == 0).await;
        // The socket is closed first, and its permit given back after that.
        while pool.metrics().total_connections > 0 {
            futures_lite::future::yield_now().await;
        }
        assert_balanced(&pool.metrics());
    });
}
