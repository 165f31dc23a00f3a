//! Which upstream is left out.

use super::balancing::{answering, proxy, shares, well};
use crate::*;

#[tokio::test]
async fn failures_within_a_time_count_whatever_comes_between_when_asked_for() {
    for (flags, expected) in [(&["--eject-within=1h"][..], 3), (&[], 10)] {
        let statuses = &[503, 200, 503, 200, 503, 200, 503, 200, 503, 200];
        let [(flaky, at_flaky), (well, _)] = [answering(statuses).await, well().await];
        let flags = [flags, &["--eject-after=2", "--balance=in-order"]].concat();
        let proxy = proxy(&[(flaky, ""), (well, "")], &flags).await;
        let got = shares(&proxy, 10, [&at_flaky]).await;
        assert_eq!(got, [expected], "{flags:?}");
    }
}

#[tokio::test]
async fn statuses_that_stand_for_a_sick_upstream_are_those_asked_for() {
    for (flags, expected) in [
        (&["--unhealthy-on=500"][..], 2),
        (&["--unhealthy-on=500-504"], 2),
        (&["--unhealthy-on="], 10),
        (&[], 10),
    ] {
        let [(sick, at_sick), (well, _)] = [answering(&[500]).await, well().await];
        let flags = [
            flags,
            &["--eject-after=2", "--balance=in-order", "--retry-on=500"],
        ]
        .concat();
        let proxy = proxy(&[(sick, ""), (well, "")], &flags).await;
        assert_eq!(
            shares(&proxy, 10, [&at_sick]).await,
            [expected],
            "{flags:?}"
        );
    }
}

#[tokio::test]
async fn no_more_are_left_out_than_may_be() {
    for (flags, expected) in [
        (&[][..], [1, 1]),
        (&["--max-ejected=1"], [1, 1]),
        (&["--max-ejected=0"], [10, 10]),
        (&["--panic-threshold=1"], [10, 10]),
    ] {
        let [(a, at_a), (b, at_b), (well, _)] = [
            answering(&[503]).await,
            answering(&[503]).await,
            well().await,
        ];
        let flags = [flags, &["--eject-after=1", "--balance=in-order"]].concat();
        let proxy = proxy(&[(a, ""), (b, ""), (well, "")], &flags).await;
        let got = shares(&proxy, 10, [&at_a, &at_b]).await;
        assert_eq!(got, expected, "{flags:?}");
    }
}

#[tokio::test]
async fn upstream_that_is_well_again_starts_slowly_when_asked_for() {
    for (flags, slowly) in [(&["--slow-start=1h"][..], true), (&[], false)] {
        let [(sick, at_sick), (well, _)] = [answering(&[503, 200]).await, well().await];
        let flags = [
            flags,
            &["--eject-after=1", "--eject-for=1ms", "--balance=in-order"],
        ]
        .concat();
        let proxy = proxy(&[(sick, ""), (well, "")], &flags).await;
        // One failure, and three successes that show that it is well.
        let recovered = async {
            while at_sick.load(Ordering::Relaxed) < 4 {
                shares(&proxy, 1, []).await;
            }
        };
        timeout(PATIENCE, recovered).await.unwrap();
        let [got] = shares(&proxy, 40, [&at_sick]).await;
        assert_eq!(got < 40, slowly, "{got}");
    }
}
