//! [`RecordedCall`] and [`RecordedHook`]: a call that may be sent, because the ledger has its intent (S5).
//!
//! There are two ways to get one: [`append`], when the ledger acknowledges the intent, and for what puts back alone without
//! it. A provider performs nothing else, and no hook is called otherwise; each of them once.

use crate::model::{Call, Effect, HookCall, HookStage, Nonce};
use crate::run::{Event, JournalRecord};

use super::{Ledger, LedgerError, Written};

/// A call whose intent is on record. Performing it uses it up.
#[derive(Debug)]
pub struct RecordedCall(Call);

impl RecordedCall {
    /// The effect to perform, and until when it may take effect.
    pub fn call(&self) -> &Call {
        &self.0
    }

    /// S7 outranks S5 for a restore alone: hosts that are out of service are restored even where the ledger takes no
    /// record of it. `None` for every other effect.
    pub(crate) fn restore_without_ledger(call: Call) -> Option<Self> {
        matches!(call.effect, Effect::Restore { .. }).then_some(Self(call))
    }

    /// A call for a test that has no ledger.
    #[cfg(test)]
    pub(crate) fn of_a_test(call: Call) -> Self {
        Self(call)
    }
}

/// A hook's call whose intent is on record. Calling it uses it up.
#[derive(Debug)]
pub struct RecordedHook(HookCall);

impl RecordedHook {
    /// The call.
    pub fn call(&self) -> &HookCall {
        &self.0
    }

    /// S7: hosts that are back are put back to work even where the ledger takes no record of it. `None` at every other stage.
    pub(crate) fn undrain_without_ledger(call: HookCall) -> Option<Self> {
        (call.on == HookStage::Undrain).then_some(Self(call))
    }
}

/// What an acknowledged record permits.
#[derive(Debug, Default)]
pub enum Permit {
    /// It is the intent of nothing.
    #[default]
    Nothing,
    /// A call of the provider.
    Call(RecordedCall),
    /// A call of a hook.
    Hook(RecordedHook),
}

impl Permit {
    fn of(event: &Event) -> Self {
        match (event.intent(), event.hook_intent()) {
            (Some(call), _) => Self::Call(RecordedCall(call.clone())),
            (None, Some(call)) => Self::Hook(RecordedHook(call.clone())),
            (None, None) => Self::Nothing,
        }
    }

    /// The call of the provider, if it is one.
    pub(crate) fn call(self) -> Option<RecordedCall> {
        match self {
            Self::Call(call) => Some(call),
            Self::Nothing | Self::Hook(_) => None,
        }
    }

    /// The call of a hook, if it is one.
    pub(crate) fn hook(self) -> Option<RecordedHook> {
        match self {
            Self::Hook(hook) => Some(hook),
            Self::Nothing | Self::Call(_) => None,
        }
    }
}

/// Appends a record once. Where the record is the intent of a call, the acknowledgement contains the call that may be
/// sent.
///
/// # Errors
///
/// [`LedgerError`]; after [`LedgerError::InDoubt`] the record may be there, and nothing may be sent for it.
pub async fn append(
    ledger: &dyn Ledger,
    record: &JournalRecord,
    nonce: &Nonce,
) -> Result<Written<Permit>, LedgerError> {
    Ok(match ledger.append(record, nonce).await? {
        Written::Acknowledged(()) => Written::Acknowledged(Permit::of(&record.event)),
        Written::Conflict => Written::Conflict,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Time;

    fn call(effect: Effect) -> Call {
        Call { effect, intent_at: Time::from_millis(0), not_after: Time::from_millis(5_000) }
    }

    #[test]
    fn s5_without_the_ledger_only_a_restore_is_sent() {
        let (group, hosts) = (None, std::collections::BTreeMap::new());
        let forward = [
            Effect::Cordon { group: group.clone(), hosts: hosts.clone() },
            Effect::Terminate { group: None, host: "index-0001".into() },
            Effect::Suspend { group: "index".into(), process: crate::model::Process::AzRebalance },
            Effect::Resume { group: "index".into(), process: crate::model::Process::AzRebalance },
        ];
        for effect in forward {
            assert!(RecordedCall::restore_without_ledger(call(effect.clone())).is_none(), "{effect:?}");
        }
        assert!(RecordedCall::restore_without_ledger(call(Effect::Restore { group, hosts })).is_some());
    }
}
