//! `[[hooks]]`: programs and servers that are asked about the hosts of a batch, and drain them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::context::Context;
use super::pace::some_time;
use super::web::{headers, url};
use crate::model::{HookStage, duration_text};
use crate::policy::problem::suggest;
use crate::policy::raw::RawHook;
use crate::policy::types::{HookKind, HookSpec};
use crate::policy::value::Spanned;

const KINDS: [&str; 2] = ["exec", "http"];

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// Whoever moves data for longer answers `wait`, and is asked again.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

pub(super) fn hooks(context: &mut Context<'_>, list: Option<&Spanned<Vec<Spanned<RawHook>>>>) -> Option<Vec<HookSpec>> {
    let list = list.map(|list| list.value.as_slice()).unwrap_or_default();
    let (mut hooks, mut names) = (Some(Vec::new()), BTreeMap::new());
    for (index, at) in list.iter().enumerate() {
        if let Some(name) = &at.value.name
            && let Some(first) = names.insert(name.value.0.clone(), index + 1)
        {
            let message = format!("the name `{}` is also that of hook {first}", name.value.0);
            context.error(&name.span, message, "used twice", "each hook of a subsystem has its own name");
        }
        let hook = hook(context, at, index);
        hooks = hooks.zip(hook).map(|(mut hooks, hook)| {
            hooks.push(hook);
            hooks
        });
    }
    if let Some(hooks) = &hooks {
        is_undrained(context, list, hooks);
    }
    hooks
}

/// Warns of hosts that nobody would put back to work.
fn is_undrained(context: &mut Context<'_>, list: &[Spanned<RawHook>], hooks: &[HookSpec]) {
    let at = |stage: HookStage| hooks.iter().position(|hook| hook.on == stage);
    if let (Some(drain), None) = (at(HookStage::Drain), at(HookStage::Undrain))
        && let Some(raw) = list.get(drain)
    {
        let message = "hosts are drained, and nothing undrains them when they are put back";
        context.warning(&raw.span, message, "only one way", "add a hook with on = \"undrain\"");
    }
}

fn hook(context: &mut Context<'_>, at: &Spanned<RawHook>, index: usize) -> Option<HookSpec> {
    let (raw, span) = (&at.value, &at.span);
    let path = |key: &str| format!("hooks.{index}.{key}");
    let name = context.required(&raw.name, span, &path("name"), "such as \"brokers\"");
    let on = context.required(&raw.on, span, &path("on"), "\"consult\", \"drain\" or \"undrain\"");
    let timeout = match &raw.timeout {
        None => Some(DEFAULT_TIMEOUT),
        Some(at) if at.value.0 > LONGEST_TIMEOUT => {
            let message = format!("`timeout` is longer than {}", duration_text(LONGEST_TIMEOUT));
            context.error(&at.span, message, "too long", "answer {\"answer\": \"wait\"} meanwhile, and be asked again");
            None
        }
        Some(at) => some_time(context, at, "timeout", "no hook answers in no time"),
    };
    let kind = kind(context, at, &path);
    Some(HookSpec { name: name?.value.0.clone(), on: on?.value, kind: kind?, timeout: timeout? })
}

fn kind(context: &mut Context<'_>, at: &Spanned<RawHook>, path: &impl Fn(&str) -> String) -> Option<HookKind> {
    let (raw, span) = (&at.value, &at.span);
    let kind_at = context.required(&raw.kind, span, &path("kind"), "\"exec\" or \"http\"")?;
    let kind = kind_at.value.as_str();
    if !KINDS.contains(&kind) {
        let help = suggest(kind, "kinds are", KINDS);
        context.error(&kind_at.span, format!("there is no hook kind `{kind}`"), "unknown kind", &help);
        return None;
    }
    let others = [
        ("command", "exec", raw.command.as_ref().map(|at| &at.span)),
        ("url", "http", raw.url.as_ref().map(|at| &at.span)),
        ("headers", "http", raw.headers.as_ref().map(|at| &at.span)),
    ];
    for (key, of, at) in others {
        if let Some(at) = at.filter(|_| of != kind) {
            let message = format!("`{key}` is not a key of the hook kind `{kind}`");
            context.error(at, message, &format!("of kind `{of}`"), "take it out, or change `kind`");
        }
    }
    if kind == "http" {
        let help = "such as \"https://brokers.internal/may-go\"";
        let url = url(context, &raw.url, span, &path("url"), help);
        let headers = headers(context, raw.headers.as_ref(), &path("headers"));
        return Some(HookKind::Http { url: url?, headers: headers? });
    }
    let help = "program and arguments, such as [\"./ask-brokers\"]";
    let command = context.required(&raw.command, span, &path("command"), help)?;
    if command.value.first().is_none_or(|program| program.trim().is_empty()) {
        context.error(&command.span, "`command` names no program", "empty", help);
        return None;
    }
    Some(HookKind::Exec { command: command.value.clone() })
}
