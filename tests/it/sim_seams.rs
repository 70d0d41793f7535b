//! Goal: what one part of the pool does to a server, the others know of: health, floors, pauses of
//! dials, who comes and goes. Method: servers in a simulated world, each case in two parts' terms.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use evenkeel::rt::sim::Sim;
use evenkeel::{
    Builder, Dialling, Ejection, Event, Health, HealthCheck, Pool, Select, ServerState, ServerStats,
};

use crate::support::assert_balanced;
use crate::support::patient::{HUGE, Patient};
use crate::support::sim::{MS, ONE, SECOND, TWO, get, info, whole, wished};

/// An ejection is over after this.
const EJECTED: Duration = Duration::from_millis(1201);

/// Servers that are not checked.
fn builder(sim: &Sim, patients: &[&Patient]) -> Builder {
    let builder = Pool::builder().runtime(sim.runtime()).seed(1).slow_start(None);
    let builder = builder.health_check(HealthCheck::off());
    patients.iter().fold(builder, |builder, patient| builder.server(patient.server()))
}

fn first(pool: &Pool) -> ServerStats {
    pool.server_stats().swap_remove(0)
}

/// Has the first server ejected, for requests that it answers badly; then it answers well.
async fn eject(pool: &Pool, one: &Patient) {
    one.requests_get(500);
    let id = first(pool).id;
    for _ in 0..5 {
        let response = pool.send(wished("/", Select::new().server(id))).await.expect("it answers");
        drop(response.into_body().bytes().await);
    }
    assert_eq!(first(pool).health, Health::Ejected);
    one.requests_get(200);
}

#[test]
fn a_trial_is_over_with_the_head_of_its_answer_however_long_the_body() {
    let sim = Sim::new();
    let (one, two) = (Patient::start(&sim, ONE), Patient::start(&sim, TWO));
    sim.block_on(async {
        let pool = builder(&sim, &[&one, &two]).build().unwrap();
        eject(&pool, &one).await;
        sim.sleep(EJECTED).await;
        one.requests_get(HUGE);
        let long = pool.get("/").await.expect("an answer");
        assert_eq!((info(&long).server, first(&pool).health), (first(&pool).id, Health::Trial));
        one.requests_get(200);
        get(&pool, "/").await.expect("an answer");
        assert_eq!(first(&pool).health, Health::Up);
        // The end of the long one says nothing of the trial that may be under way by then.
        eject(&pool, &one).await;
        drop(long);
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn a_request_on_trial_does_not_wait_for_what_others_have_there() {
    let sim = Sim::new();
    let (one, two) = (Patient::start(&sim, ONE), Patient::start(&sim, TWO));
    sim.block_on(async {
        let pool = builder(&sim, &[&one, &two]).max_connections_per_server(1).build().unwrap();
        eject(&pool, &one).await;
        let held = pool.checkout(Select::new().server(first(&pool).id)).await.expect("an answer");
        sim.sleep(EJECTED).await;
        assert_eq!(first(&pool).health, Health::Trial);
        let began = sim.now();
        for _ in 0..5 {
            whole(pool.send(wished("/", Select::new().timeout(SECOND))).await.unwrap())
                .await
                .unwrap();
        }
        assert_eq!((sim.now(), two.requests()), (began, 5));
        drop(held);
        get(&pool, "/").await.expect("an answer");
        get(&pool, "/").await.expect("an answer");
        assert_eq!(first(&pool).health, Health::Up);
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn a_server_in_a_pause_of_dials_is_tried_when_that_is_over() {
    let sim = Sim::new();
    let (mut one, two) = (Patient::start(&sim, ONE), Patient::start(&sim, TWO));
    sim.block_on(async {
        let dialling = Dialling::new().failures_before_back_off(1);
        let dialling = dialling.min_back_off(SECOND * 20).max_back_off(SECOND * 20);
        let pool = builder(&sim, &[&one, &two]).dialling(dialling);
        let pool = pool.ejection(Ejection::new().max_time(SECOND * 2)).build().unwrap();
        eject(&pool, &one).await;
        one.kill().await;
        sim.sleep(EJECTED).await;
        let mut extra = 0;
        for _ in 0..80 {
            let response = pool.get("/").await.expect("an answer");
            extra += u64::from(info(&response).attempts - 1);
            whole(response).await.expect("an answer");
            sim.sleep(MS * 100).await;
        }
        assert_eq!((first(&pool).connect_errors, extra), (1, 1), "a pause is no attempt");
        one.restart();
        while first(&pool).health != Health::Up {
            get(&pool, "/").await.expect("an answer");
            sim.sleep(MS * 100).await;
        }
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn a_floor_is_filled_as_soon_as_its_server_is_back() {
    let sim = Sim::new();
    let (one, two) = (Patient::start(&sim, ONE), Patient::start(&sim, TWO));
    sim.block_on(async {
        let pool = builder(&sim, &[&one, &two]).min_idle(2).build().unwrap();
        let open = || pool.server_stats().iter().map(|stats| stats.open).collect::<Vec<_>>();
        sim.settle().await;
        assert_eq!(open(), [2, 2]);
        pool.set_state(first(&pool).id, ServerState::Disabled).unwrap();
        sim.settle().await;
        assert_eq!(open(), [0, 2]);
        pool.set_state(first(&pool).id, ServerState::Active).unwrap();
        sim.settle().await;
        assert_eq!(open(), [2, 2]);
        eject(&pool, &one).await;
        sim.settle().await;
        assert_eq!(open(), [0, 2]);
        sim.sleep(EJECTED).await;
        while first(&pool).health != Health::Up {
            get(&pool, "/").await.expect("an answer");
        }
        sim.settle().await;
        assert_eq!(open(), [2, 2]);
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn the_connections_of_an_ill_server_are_kept_once_it_is_the_last_and_until_another_comes() {
    let sim = Sim::new();
    let (one, two) = (Patient::start(&sim, ONE), Patient::start(&sim, TWO));
    sim.block_on(async {
        let pool = builder(&sim, &[&one, &two]).build().unwrap();
        eject(&pool, &one).await;
        let id = pool.server_stats()[1].id;
        pool.remove_server(id).unwrap();
        assert!(first(&pool).is_healthy);
        let before = pool.metrics().connections_created;
        for _ in 0..5 {
            get(&pool, "/").await.expect("an answer");
        }
        assert_eq!(pool.metrics().connections_created, before + 1);
        assert_eq!((first(&pool).health, first(&pool).idle), (Health::Ejected, 1));
        let id = pool.add_server(two.server()).unwrap();
        assert_eq!((first(&pool).is_healthy, first(&pool).open), (false, 0));
        // The same by weights.
        pool.set_weight(id, 0).unwrap();
        get(&pool, "/").await.expect("an answer");
        assert_eq!(first(&pool).idle, 1);
        pool.set_weight(id, 1).unwrap();
        assert_eq!((first(&pool).is_healthy, first(&pool).open), (false, 0));
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn a_panic_that_comes_of_who_goes_and_who_comes_is_told() {
    let sim = Sim::new();
    let (one, two) = (Patient::start(&sim, ONE), Patient::start(&sim, TWO));
    let (tell, told) = mpsc::channel();
    sim.block_on(async {
        let builder = builder(&sim, &[&one, &two]).panic_threshold(50);
        let builder = builder.observer(move |event: &Event<'_>| {
            if matches!(event, Event::PanicBegan | Event::PanicEnded) {
                tell.send(format!("{event:?}")).unwrap();
            }
        });
        let pool = builder.build().unwrap();
        eject(&pool, &one).await;
        let id = pool.server_stats()[1].id;
        pool.remove_server(id).unwrap();
        assert_eq!(told.try_iter().collect::<Vec<_>>(), ["PanicBegan"]);
        pool.add_server(two.server()).unwrap();
        assert_eq!(told.try_iter().collect::<Vec<_>>(), ["PanicEnded"]);
    });
}

#[test]
fn a_check_whose_server_is_removed_as_it_ends_is_counted() {
    let sim = Sim::new();
    let (one, two) = (Patient::start(&sim, ONE), Patient::start(&sim, TWO));
    sim.block_on(async {
        let place = Arc::<OnceLock<Pool>>::default();
        let (theirs, is_done) = (place.clone(), AtomicBool::new(false));
        let check = HealthCheck::default().judge(move |_| {
            if !is_done.swap(true, Ordering::Relaxed) {
                let pool = theirs.get().expect("it is there by now");
                let ids: Vec<_> = pool.server_stats().iter().map(|stats| stats.id).collect();
                ids.into_iter().for_each(|id| pool.remove_server(id).unwrap());
            }
            true
        });
        let pool = builder(&sim, &[&one, &two]).health_check(check).build().unwrap();
        place.set(pool.clone()).expect("once");
        sim.sleep(SECOND * 5).await;
        let metrics = pool.metrics();
        assert!(metrics.health_checks > 0 && metrics.servers == 0, "{metrics:?}");
        assert_eq!(metrics.health_checks_running, 0);
        assert_eq!(metrics.health_checks_success, 1);
        pool.shutdown(SECOND).await;
    });
}
