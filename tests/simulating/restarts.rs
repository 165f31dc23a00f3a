//! Three peers that are restarted.

use super::world::*;

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_while_one_after_the_other_is_down() {
    fastrand::seed(7);
    let hosts = Host::several(3);
    let peers = balance(&hosts);
    let restarts = async {
        for host in &hosts {
            tokio::time::sleep(secs(5)).await;
            host.set(Act::Refuse);
            tokio::time::sleep(secs(10)).await;
            host.set(Act::WELL);
        }
    };
    let service = failing_over(&peers);
    let (outcomes, ()) = tokio::join!(Traffic::of(secs(50)).send(&service), restarts);
    for (number, from) in (1..).zip([5, 20, 35]) {
        let while_down: Vec<_> = outcomes
            .iter()
            .filter(|outcome| (secs(from)..secs(from + 10)).contains(&outcome.at))
            .cloned()
            .collect();
        println!(
            "peer {number} down: {:.3} attempts per request",
            attempts_per_request(&while_down)
        );
    }
    let each = attempts_per_request(&outcomes);
    println!(
        "rolling restart: {} lost of {}, {each:.3} attempts per request",
        lost(&outcomes),
        outcomes.len()
    );
    assert_eq!(lost(&outcomes), 0);
    assert!(each < 1.3, "{each}");
}

#[tokio::test(start_paused = true)]
async fn when_one_of_three_is_back_nothing_is_lost_any_more() {
    for back in 0..3 {
        fastrand::seed(7);
        let hosts = Host::several(3);
        let peers = balance(&hosts);
        let outage = async {
            tokio::time::sleep(secs(2)).await;
            hosts.iter().for_each(|host| host.set(Act::Refuse));
            tokio::time::sleep(secs(5)).await;
            hosts[back].set(Act::WELL);
        };
        let service = failing_over(&peers);
        let (outcomes, ()) = tokio::join!(Traffic::of(secs(9)).send(&service), outage);
        let lost_at = outcomes
            .iter()
            .filter(|outcome| outcome.is_lost())
            .map(|outcome| outcome.at);
        let last = lost_at.clone().max().unwrap();
        let during: Vec<_> = outcomes
            .iter()
            .filter(|outcome| outcome.is_lost())
            .cloned()
            .collect();
        println!(
            "all three down for 5 s, peer {back} back: {} lost of 5000, with {:.2} attempts each, the last one arrived after {last:?}",
            lost_at.count(),
            attempts_per_request(&during),
        );
        assert!(last <= secs(7), "{last:?}");
        assert!(during.iter().all(|outcome| outcome.at >= ms(1_990)));
    }
}

/// What cannot be retried is lost while nothing is known of the sick ones, and of the probes nothing.
#[tokio::test(start_paused = true)]
async fn sick_majority_costs_what_it_takes_to_know_it() {
    for (peers, sick, most) in [(3, 2, 0.001), (4, 3, 0.001)] {
        fastrand::seed(7);
        let hosts = Host::several(peers);
        for host in &hosts[..sick] {
            host.set(Act::Answer(503, ms(1)));
        }
        let balance = balance(&hosts);
        let service = failing_over(&balance);
        let outcomes = Traffic::of(secs(20)).send(&service).await;
        let (lost, all) = (lost(&outcomes), outcomes.len());
        let gets = outcomes
            .iter()
            .filter(|one| one.method == http::Method::GET);
        // Three attempts are enough for two sick ones.
        let lost_gets = gets.filter(|get| get.is_lost()).count();
        assert!(lost_gets == 0 || sick > 2, "{lost_gets}");
        println!("{sick} of {peers} answer 503: {lost} lost of {all}");
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let share = lost as f64 / all as f64;
        assert!(share < most, "{share}");
    }
}
