//! The question that an effort is kept for.

use std::time::Duration;

use crate::plan::solver::effort::Effort;

#[test]
fn most_of_it_is_kept_for_the_count_that_was_asked_for() {
    let whole = Effort::about(Duration::from_secs(1));
    let all = whole.left_beyond(0);
    let asked = whole.asked(5);
    assert!(whole.is_spent(), "all of it is for the question");
    // Six hosts are more than was asked for, and of three nobody asked whether there is a fourth.
    for worth in [3, 5] {
        assert_eq!(asked.left_beyond(worth), all / 10, "beyond {worth}");
    }
    assert_eq!(asked.left_beyond(4), all, "one host more is the question");
    assert!(asked.spend(all / 5));
    assert_eq!((asked.left_beyond(3), asked.left_beyond(4)), (0, all - all / 5));
    whole.take_back(asked);
    assert_eq!(whole.left_beyond(3), all - all / 5);
}
