//! The question before a batch as text: what went, what goes next, what it leaves, how the system is, and until when
//! there is time.

use crate::model::{BatchNumber, Time, counted, span_text};
use crate::run::BatchQuestion;

use super::capacity::subsystems_text;
use super::readings::readings_text;
use super::{Place, Text, hosts_text, other_text};

/// The most hosts that one line lists.
const HOSTS_SHOWN: usize = 20;

/// The most readings that are shown; bad ones come first.
const READINGS_SHOWN: usize = 8;

/// Everything that a person decides by. The question itself is [`batch_prompt`].
pub(crate) fn batch_question_text(question: &BatchQuestion, place: &Place, now: Time) -> Text {
    let BatchQuestion { batch: (number, of), hosts, gone, behind, readings, others, .. } = question;
    let list = |hosts: &[_]| match hosts.is_empty() {
        true => "nothing".to_owned(),
        false => hosts_text(hosts, HOSTS_SHOWN),
    };
    let mut text = Text::default();
    text.blank();
    text.field("fleet", &place.fleet_text());
    text.field("gone", &format!("{}: {}", gone.len(), list(gone)));
    let more = match behind {
        0 => "it is the last".to_owned(),
        more => format!("{more} more behind it"),
    };
    text.field("next", &format!("batch {number} of {of}, {}: {}; {more}", counted(hosts.len(), "host"), list(hosts)));
    let (end, rest) = (now.plus(question.rest), span_text(question.rest));
    text.field("ends", &format!("about {end}, in {rest} if you answer now; budgets are not counted"));
    for (at, other) in others.iter().enumerate() {
        text.field(if at == 0 { "other runs" } else { "" }, &other_text(other));
    }
    text.append(subsystems_text("What the batch leaves, in units", &question.subsystems, &question.subsystem));
    if !readings.is_empty() {
        text.blank();
        for (at, forms) in readings_text(readings, READINGS_SHOWN).into_iter().enumerate() {
            text.fitting(if at == 0 { "readings" } else { "" }, &forms);
        }
    }
    let left = place.time_to_answer(question.until, now);
    text.blank();
    text.paragraph(&format!("Nothing is out of service. Without an answer by {left}, the run ends with exit 9."));
    text
}

/// The question, for whoever types the answer.
pub(crate) fn batch_prompt(batch: BatchNumber, hosts: usize) -> String {
    format!("Type {hosts} to go on with batch {batch}, anything else to stop")
}
