//! The question before a batch as text: what went, what goes next, what it leaves, how the system is, and until when
//! there is time.

use crate::model::{BatchNumber, Time};
use crate::run::BatchQuestion;

use super::plan::subsystems_text;
use super::readings::readings_text;
use super::{WIDTH, field, hosts_text, span_text};

/// The most hosts that one line lists.
const HOSTS_SHOWN: usize = 20;

/// The most readings that are shown; bad ones come first.
const READINGS_SHOWN: usize = 8;

/// Everything that a person decides by. The question itself is [`batch_prompt`].
pub(crate) fn batch_question_text(question: &BatchQuestion, now: Time) -> String {
    let BatchQuestion { batch: (number, of), hosts, gone, behind, readings, .. } = question;
    let list = |hosts: &[_]| match hosts.is_empty() {
        true => "nothing".to_owned(),
        false => hosts_text(hosts, HOSTS_SHOWN),
    };
    let mut text = String::from("\n");
    text.push_str(&field("gone", &format!("{}: {}", gone.len(), list(gone))));
    let more = match behind {
        0 => "it is the last".to_owned(),
        more => format!("{more} more behind it"),
    };
    text.push_str(&field("next", &format!("batch {number} of {of}, {}: {}; {more}", hosts.len(), list(hosts))));
    let rest = format!("about {} for the rest of the plan, budgets not counted", span_text(question.rest));
    text.push_str(&field("takes", &rest));
    text.push_str("\nWhat the batch leaves, in units\n");
    text.push_str(&subsystems_text(&question.subsystems, &question.subsystem));
    if !readings.is_empty() {
        text.push_str("\nReadings now\n");
        for line in readings_text(readings, WIDTH - 2, READINGS_SHOWN) {
            text.push_str(&format!("  {line}\n"));
        }
    }
    let left = span_text(question.until.since(now));
    text.push_str(&format!(
        "\nNothing is out of service. Without an answer by {} ({left}) the run ends, exit 9.\n",
        question.until
    ));
    text
}

/// The question, for whoever types the answer.
pub(crate) fn batch_prompt(batch: BatchNumber, hosts: usize) -> String {
    format!("Type {hosts} to go on with batch {batch}, anything else to end the run here")
}
