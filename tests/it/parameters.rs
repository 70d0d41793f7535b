//! The sixteen parameters of the original: each is here under its name in snake case, with its
//! default, and with a test that shows its effect; or it says what it waits for.

use std::time::Duration;

use evenkeel::Config;

use crate::support::{Server, assert_balanced, block_on, builder_of, get_text};

const MOMENT: Duration = Duration::from_millis(1);

/// A field of [`Config`], as its value is written, and the test that shows its effect.
struct Field(fn(&Config) -> String, &'static str);

/// Name, default, field.
const PARAMETERS: [(&str, &str, Field); 16] = [
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
    (
        "health_check_interval",
        "30s",
        Field(
            |c| format!("{:?}", c.health_check.interval),
            "a_server_that_is_well_is_checked_once_in_each_interval",
        ),
    ),
    (
        "health_check_timeout",
        "5s",
        Field(
            |c| format!("{:?}", c.health_check.timeout),
            "a_check_without_an_answer_fails_at_its_timeout",
        ),
    ),
    (
        "health_check_path",
        "/health",
        Field(|c| c.health_check.path.clone(), "a_check_asks_for_the_path_it_is_given"),
    ),
    (
        "unhealthy_threshold",
        "3",
        Field(
            |c| c.health_check.unhealthy_threshold.to_string(),
            "as_many_checks_must_fail_as_the_threshold_says",
        ),
    ),
    (
        "healthy_threshold",
        "2",
        Field(
            |c| c.health_check.healthy_threshold.to_string(),
            "as_many_checks_must_succeed_as_the_threshold_says",
        ),
    ),
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
    ("tls", "a_certificate_of_a_known_authority_is_taken_as_pem_and_as_der"),
    ("health_check", "only_an_explicit_check_wants_a_status_of_2xx"),
    ("ejection", "five_failures_in_a_row_eject_a_server_and_four_do_not"),
    ("slow_start", "a_server_that_comes_back_gets_its_share_step_by_step"),
    ("panic_threshold", "below_the_panic_threshold_health_is_ignored"),
    ("start_unknown", "a_server_that_is_not_checked_yet_waits_if_it_should"),
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
    include_str!("../tls/suite/certificates.rs"),
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
    include_str!("sim_checks.rs"),
    include_str!("sim_dial.rs"),
    include_str!("sim_ejection.rs"),
    include_str!("sim_expiry.rs"),
    include_str!("sim_floor.rs"),
    include_str!("sim_handoff.rs"),
    include_str!("sim_learned.rs"),
    include_str!("sim_queue.rs"),
    include_str!("sim_retire.rs"),
    include_str!("sim_retry.rs"),
    include_str!("sim_probe.rs"),
    include_str!("sim_standing.rs"),
    include_str!("sim_steps.rs"),
    include_str!("sim_timeouts.rs"),
    include_str!("sim_watch.rs"),
    include_str!("wire.rs"),
];

/// In which part of the settings a parameter is, and its name there.
fn place_of(name: &str) -> (&str, &str) {
    match name.strip_prefix("health_check_") {
        Some(field) => ("health_check: HealthCheck {", field),
        None if name.ends_with("healthy_threshold") => ("health_check: HealthCheck {", name),
        None => ("Config {", name),
    }
}

/// The names of the settings, those in parts of their own left out.
fn fields_of(config: &Config) -> Vec<String> {
    let text = format!("{config:#?}");
    let own = text.lines().filter_map(|line| line.strip_prefix("    "));
    let own = own.filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
    own.filter_map(|line| line.split_once(':')).map(|(name, _)| name.to_owned()).collect()
}

fn has_test(name: &str) -> bool {
    SUITES.iter().any(|suite| suite.contains(&format!("#[test]\nfn {name}()")))
}

#[test]
fn every_parameter_has_its_default_and_a_test_of_its_effect() {
    let config = Config::default();
    let fields = format!("{config:?}");
    for (name, default, Field(value, test)) in &PARAMETERS {
        let (part, field) = place_of(name);
        let fields = fields.split_once(part).expect("a part of the settings").1;
        let is_field = fields.contains(&format!(" {field}:"));
        assert!(is_field, "{name} is no field");
        assert_eq!(value(&config), *default, "{name}");
        assert!(has_test(test), "{name}: there is no test {test}");
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

#[test]
fn no_setting_is_missing_from_the_tables() {
    let fields = fields_of(&Config::default());
    assert!(fields.len() > 25, "{fields:?}");
    for name in fields {
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
