//! The bounds of the settings, and what a refusal says.

use super::*;
use crate::error::ErrorKind;

fn refused(change: impl FnOnce(&mut Config)) -> String {
    let mut config = Config::default();
    change(&mut config);
    let error = config.validate().expect_err("must be refused");
    assert_eq!(error.kind(), ErrorKind::Config);
    error.to_string()
}

#[test]
fn the_defaults_are_valid() {
    Config::default().validate().unwrap();
}

#[test]
fn each_field_is_refused_by_name_out_of_its_range() {
    let zero = Duration::ZERO;
    type Change = fn(&mut Config, Duration);
    let checks: &[(&str, Change)] = &[
        ("max_connections_per_server", |c, _| c.max_connections_per_server = 0),
        ("max_connections_per_server", |c, _| c.max_connections_per_server = 65_536),
        ("max_total_connections", |c, _| c.max_total_connections = 0),
        ("max_connecting", |c, _| c.max_connecting = 0),
        ("max_waiters", |c, _| c.max_waiters = usize::MAX),
        ("max_idle_time", |c, z| c.max_idle_time = z),
        ("idle_conn_timeout", |c, z| c.idle_conn_timeout = z),
        ("max_lifetime", |c, z| c.max_lifetime = Some(z)),
        ("max_lifetime", |c, _| c.max_lifetime = Some(Duration::MAX)),
        ("max_requests_per_connection", |c, _| c.max_requests_per_connection = Some(0)),
        ("connect_timeout", |c, z| c.connect_timeout = z),
        ("cleanup_interval", |c, z| c.cleanup_interval = z),
        ("handoff_grace", |c, z| c.handoff_grace = z),
        ("metrics_interval", |c, _| c.metrics_interval = Duration::from_millis(9)),
        ("metrics_interval", |c, _| c.metrics_interval = HOUR + Duration::from_millis(1)),
        ("hold_warning", |c, z| c.hold_warning = Some(z)),
        ("queue_timeout", |c, z| c.queue_timeout = Some(z)),
        ("write_timeout", |c, z| c.write_timeout = Some(z)),
        ("response_head_timeout", |c, z| c.response_head_timeout = Some(z)),
        ("body_read_timeout", |c, z| c.body_read_timeout = Some(z)),
        ("body_read_timeout", |c, _| c.body_read_timeout = Some(Duration::MAX)),
        ("expect_timeout", |c, z| c.expect_timeout = z),
        ("max_head_size", |c, _| c.max_head_size = 255),
        ("max_head_size", |c, _| c.max_head_size = (16 << 20) + 1),
        ("max_headers", |c, _| c.max_headers = 0),
        ("max_headers", |c, _| c.max_headers = 24_577),
        ("request_timeout", |c, z| c.request_timeout = Some(z)),
        ("keep_alive_timeout", |c, z| c.keep_alive_timeout = Some(z)),
        ("connect_timeout", |c, _| c.connect_timeout = Duration::MAX),
        ("ewma_decay", |c, _| c.ewma_decay = Duration::from_micros(999)),
        ("ewma_decay", |c, _| c.ewma_decay = HOUR + Duration::from_nanos(1)),
        ("hash_balance_factor", |c, _| c.hash_balance_factor = 100),
        ("hash_balance_factor", |c, _| c.hash_balance_factor = 1001),
        ("slow_start", |c, z| c.slow_start = Some(z)),
        ("panic_threshold", |c, _| c.panic_threshold = 101),
        ("health_check.interval", |c, z| c.health_check.interval = z),
        ("health_check.timeout", |c, _| c.health_check.interval = Duration::from_millis(4999)),
        ("health_check.unhealthy_threshold", |c, _| c.health_check.unhealthy_threshold = 0),
        ("health_check.path", |c, _| c.health_check.path = "/a b".to_owned()),
        ("ejection.failures_in_a_row", |c, _| c.ejection.failures_in_a_row = Some(0)),
        ("ejection.min_success", |c, _| c.ejection.min_success = Some(101)),
        ("ejection.min_requests", |c, _| c.ejection.min_requests = 0),
        ("ejection.trials", |c, _| c.ejection.trials = 0),
        ("ejection.max_share", |c, _| c.ejection.max_share = 101),
        ("ejection.window", |c, z| c.ejection.window = z),
        ("ejection.base_time", |c, z| c.ejection.base_time = z),
        ("ejection.max_time", |c, _| c.ejection.max_time = Duration::from_millis(999)),
    ];
    for (name, change) in checks {
        let text = refused(|c| change(c, zero));
        assert!(text.contains(name), "{name}: {text}");
    }
}

#[test]
fn a_check_shows_no_secret() {
    let check = HealthCheck::get("/up?token=secret").header("authorization", "secret");
    let config = Config { health_check: check, ..Config::default() };
    let shown = format!("{config:?}");
    assert!(shown.contains("authorization") && shown.contains("/up") && !shown.contains("secret"));
}

#[test]
fn contradictory_limits_are_refused() {
    assert!(refused(|c| c.min_idle = 101).contains("max_connections_per_server (100)"));
    assert!(refused(|c| c.min_idle = 51).contains("max_idle_connections (50)"));
}

#[test]
fn the_ends_of_each_range_are_accepted() {
    let mut config = Config { max_connections_per_server: 65_535, ..Config::default() };
    config.validate().unwrap();
    config.max_connections_per_server = 1;
    config.max_total_connections = 1;
    config.max_idle_connections = 0;
    config.max_waiters = 0;
    config.max_connecting = 1;
    (config.ewma_decay, config.hash_balance_factor) = (Duration::from_millis(1), 101);
    config.validate().unwrap();
    (config.ewma_decay, config.hash_balance_factor) = (HOUR, 1000);
    config.validate().unwrap();
    config.metrics_interval = Duration::from_millis(10);
    config.validate().unwrap();
    config.metrics_interval = HOUR;
    config.validate().unwrap();
    (config.max_head_size, config.max_headers) = (256, 1);
    config.validate().unwrap();
    (config.max_head_size, config.max_headers) = (16 << 20, 24_576);
    config.validate().unwrap();
}

fn dialling(change: impl FnOnce(&mut Dialling)) -> impl FnOnce(&mut Config) {
    |config| change(&mut config.dialling)
}

fn socket(change: impl FnOnce(&mut SocketOptions)) -> impl FnOnce(&mut Config) {
    |config| change(&mut config.socket_options)
}

fn accepted(change: impl FnOnce(&mut Config)) {
    let mut config = Config::default();
    change(&mut config);
    config.validate().unwrap();
}

#[test]
fn times_of_dialling_are_accepted_at_their_ends_and_refused_beyond() {
    let nano = Duration::from_nanos(1);
    let (ms, hour, day) = (Duration::from_millis(1), HOUR, 24 * HOUR);
    type Place = fn(&mut Dialling) -> &mut Duration;
    let checks: [(&str, Place, Duration, Duration); 6] = [
        ("dialling.attempt_delay", |d| &mut d.attempt_delay, 10 * ms, 10_000 * ms),
        ("dialling.max_ttl", |d| &mut d.max_ttl, 5_000 * ms, day),
        ("dialling.negative_ttl", |d| &mut d.negative_ttl, Duration::ZERO, day),
        ("dialling.stale_ttl", |d| &mut d.stale_ttl, Duration::ZERO, 7 * day),
        ("dialling.min_back_off", |d| &mut d.min_back_off, ms, 2_000 * ms),
        ("dialling.max_back_off", |d| &mut d.max_back_off, 100 * ms, hour),
    ];
    for (name, place, least, most) in checks {
        accepted(dialling(|d| *place(d) = least));
        accepted(dialling(|d| *place(d) = most));
        if least > Duration::ZERO {
            let text = refused(dialling(|d| *place(d) = least - nano));
            assert!(text.contains(name), "{text}");
        }
        assert!(!refused(dialling(|d| *place(d) = most + nano)).is_empty(), "{name}");
    }
}

#[test]
fn counts_of_dialling_are_accepted_at_their_ends_and_refused_beyond() {
    for at_once in [1, 16] {
        accepted(dialling(|d| d.attempts_at_once = at_once));
    }
    for at_once in [0, 17] {
        assert!(
            refused(dialling(|d| d.attempts_at_once = at_once))
                .contains("dialling.attempts_at_once")
        );
    }
    for most in [1, 256] {
        accepted(dialling(|d| d.max_addresses = most));
    }
    for most in [0, 257] {
        assert!(refused(dialling(|d| d.max_addresses = most)).contains("dialling.max_addresses"));
    }
}

#[test]
fn socket_options_are_accepted_at_their_ends_and_refused_beyond() {
    let ms = Duration::from_millis(1);
    for size in [1 << 10, 1 << 30] {
        accepted(socket(|o| (o.send_buffer, o.receive_buffer) = (Some(size), Some(size))));
    }
    for size in [(1 << 10) - 1, (1 << 30) + 1] {
        assert!(
            refused(socket(|o| o.send_buffer = Some(size))).contains("socket_options.send_buffer")
        );
        assert!(
            refused(socket(|o| o.receive_buffer = Some(size)))
                .contains("socket_options.receive_buffer")
        );
    }
    for count in [1, 127] {
        accepted(socket(|o| o.keep_alive_count = Some(count)));
    }
    for count in [0, 128] {
        assert!(
            refused(socket(|o| o.keep_alive_count = Some(count)))
                .contains("socket_options.keep_alive_count")
        );
    }
    for time in [ms, u32::MAX * ms] {
        accepted(socket(|o| o.user_timeout = Some(time)));
    }
    for time in [Duration::ZERO, ms - Duration::from_nanos(1), u32::MAX * ms + ms] {
        assert!(
            refused(socket(|o| o.user_timeout = Some(time)))
                .contains("socket_options.user_timeout")
        );
    }
    let zero = Some(Duration::ZERO);
    assert!(
        refused(socket(|o| o.keep_alive_interval = zero))
            .contains("socket_options.keep_alive_interval")
    );
    for name in ["x", "123456789012345"] {
        accepted(socket(|o| o.interface = Some(name.to_owned())));
    }
    for name in ["", "1234567890123456", "a\0b"] {
        assert!(
            refused(socket(|o| o.interface = Some(name.to_owned())))
                .contains("socket_options.interface")
        );
    }
}
