//! A job's life, on the embedded store: what may follow what, who wins, and what is left where somebody dies.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use contract::{Decimal, Fingerprint};
use faults::{Call, Moment, Policy, Verdict};
use invoices::document::By;
use invoices::edit::{Edit, LineEdit};
use invoices::intake::{Door, Place};
use invoices::job::{Reason, Way};
use invoices::work::{Due, Take};
use invoices::{Error, Invoices, Job, State, ledger, store};
use support::{BYTES, Ground, announced, invoice, reading};

#[tokio::test(start_paused = true)]
async fn a_document_comes_by_its_signed_address_alone() {
    let ground = Ground::new();
    let invoices = &ground.invoices;
    let (job, address) = invoices.announce("acme", &announced("a.xml"), Door::Store).await.expect("a job");
    assert_eq!(job.state, State::AwaitingUpload);
    let Place::Own(place) = &address.place else { panic!("the embedded store has no door of its own") };
    assert!(address.headers.contains(&("if-none-match".to_owned(), "*".to_owned())));

    assert!(matches!(invoices.submit("acme", job.job_id).await, Err(Error::NotUploaded(_))));
    let shown = support::presented(place);
    let wrong = invoices.expects(job.job_id, invoices::upload::Presented { length: 1, ..shown }).await;
    assert!(matches!(wrong, Err(Error::Signature(_))));
    let expected = invoices.expects(job.job_id, shown).await.expect("as signed");
    let other = invoices.receive(&expected, Bytes::from_static(b"<other document/>...........")).await;
    assert!(matches!(other, Err(Error::OtherBytes(_))), "announced with another SHA-256");
    for _ in 0..2 {
        invoices
            .receive(&expected, Bytes::from_static(BYTES))
            .await
            .expect("the same bytes again are no harm");
    }
    let queued = invoices.submit("acme", job.job_id).await.expect("submitted");
    assert_eq!(queued.state, State::Queued);
    assert_eq!(queued.pinned.as_ref().expect("pinned").sha256, Fingerprint::of_bytes(BYTES));
    assert_eq!(invoices.submit("acme", job.job_id).await.expect("again is safe"), queued);

    tokio::time::advance(invoices.options.upload_expires + Duration::from_secs(1)).await;
    assert!(matches!(invoices.expects(job.job_id, shown).await, Err(Error::Signature(_))), "expired");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_submits_expires() {
    let ground = Ground::new();
    let invoices = &ground.invoices;
    let (job, _) = invoices.announce("acme", &announced("a.xml"), Door::Own).await.expect("a job");
    let tables = &*ground.ports.tables;
    let within = invoices.options.upload_expires + invoices.options.submit_within;
    tokio::time::advance(within - Duration::from_secs(1)).await;
    assert_eq!(invoices.due(&job, ground.ports.clock.now()), Due::Nothing);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(invoices.due(&job, ground.ports.clock.now()), Due::Expire);
    invoices.expire(&job).await.expect("expired");
    let job = store::get(tables, job.job_id).await.expect("the job");
    assert_eq!((job.state, job.reason.expect("why").code.as_str()), (State::Expired, "expired"));
    assert!(matches!(invoices.submit("acme", job.job_id).await, Err(Error::State { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_lease_keeps_others_away_until_it_ends() {
    let ground = Ground::new();
    let invoices = &ground.invoices;
    let job = ground.submitted().await;
    let Take::Ours(first) = invoices.take(&job, "one").await.expect("a take") else {
        panic!("nobody has it")
    };
    assert_eq!((first.state, first.attempts), (State::Parsing, 0));
    let Take::Ours(again) = invoices.take(&first, "one").await.expect("a take") else {
        panic!("it is its own")
    };
    assert_eq!(again, first, "a store that was away is not the document's doing");
    assert_eq!(invoices.take(&first, "two").await.expect("a look"), Take::NotNow);
    assert_eq!(invoices.due(&first, ground.ports.clock.now()), Due::Nothing);
    tokio::time::advance(invoices.options.lease).await;
    assert_eq!(invoices.due(&first, ground.ports.clock.now()), Due::Nudge);
    let Take::Ours(second) = invoices.take(&first, "two").await.expect("a take") else { panic!("it ended") };
    assert_eq!(second.attempts, 1, "the first one came to no end");
    // The first one comes back to life: what it read is no longer its to say.
    invoices.read(&first, reading(vec![invoice("late", 1)])).await.expect("it changes nothing");
    assert_eq!(store::get(&*ground.ports.tables, job.job_id).await.expect("the job").state, State::Parsing);
    invoices.read(&second, reading(vec![invoice("RE-1", 1)])).await.expect("read");
    let job = store::get(&*ground.ports.tables, job.job_id).await.expect("the job");
    assert_eq!(job.state, State::Review);
    let document = invoices.document(&job).await.expect("a document");
    assert_eq!(document.invoice.number.as_deref(), Some("RE-1"));
    assert_eq!(document.version, 2, "the late one had put its own under 1");
}

#[tokio::test(start_paused = true)]
async fn a_document_that_takes_its_workers_down_is_given_up() {
    let ground = Ground::new();
    let invoices = &ground.invoices;
    let mut job = ground.submitted().await;
    for worker in ["one", "two", "three"] {
        let Take::Ours(taken) = invoices.take(&job, worker).await.expect("a take") else {
            panic!("its turn")
        };
        tokio::time::advance(invoices.options.lease).await;
        job = *taken;
    }
    assert_eq!(invoices.take(&job, "four").await.expect("a look"), Take::NotNow);
    let job = store::get(&*ground.ports.tables, job.job_id).await.expect("the job");
    assert_eq!((job.state, job.reason.expect("why").code.as_str()), (State::Failed, "parser-killed"));
}

#[tokio::test(start_paused = true)]
async fn a_document_that_ends_the_parser_three_times_is_given_up() {
    let ground = Ground::new();
    let invoices = &ground.invoices;
    let mut job = ground.submitted().await;
    let reason = || Reason { code: "parser-killed".to_owned(), message: "signal 9".to_owned() };
    for attempt in 1..=3 {
        assert_eq!((job.state, job.attempts), (State::Queued, attempt - 1));
        if attempt > 1 {
            assert_eq!(invoices.take(&job, "one").await.expect("a look"), Take::NotNow, "it waits its turn");
            assert_eq!(invoices.due(&job, ground.ports.clock.now()), Due::Nothing);
            tokio::time::advance(invoices.options.retry_after * 2_u32.pow(attempt - 2)).await;
            assert_eq!(invoices.due(&job, ground.ports.clock.now()), Due::Nudge);
        }
        let Take::Ours(taken) = invoices.take(&job, "one").await.expect("a take") else { panic!("its turn") };
        invoices.again(&taken, reason()).await.expect("put back");
        job = store::get(&*ground.ports.tables, job.job_id).await.expect("the job");
    }
    let why = job.reason.expect("why");
    assert_eq!((job.state, why.code.as_str()), (State::Failed, "parser-killed"));
    assert!(why.message.contains("attempt 3 of 3"), "{}", why.message);
}

#[tokio::test]
async fn a_document_of_two_invoices_is_two_jobs() {
    let ground = Ground::new();
    let job = ground.parsed(vec![invoice("RE-1", 2), invoice("RE-2", 3)]).await;
    let sibling = store::get(&*ground.ports.tables, job.job_id.sibling(1)).await.expect("the other one");
    assert_eq!((sibling.state, sibling.index, sibling.document_of), (State::Review, 1, Some(job.job_id)));
    assert_eq!(sibling.summary.as_ref().expect("read").number.as_deref(), Some("RE-2"));
    for job in [job, sibling] {
        ground.invoices.apply("ann", job.job_id, job.version).await.expect("each is applied for itself");
    }
}

#[tokio::test]
async fn an_edit_is_made_on_top_of_what_its_editor_saw() {
    let ground = Ground::new();
    let mut odd = invoice("RE-1", 2);
    odd.lines[1].quantity = None;
    let job = ground.parsed(vec![odd]).await;
    let invoices = &ground.invoices;
    let refused = invoices.apply("ann", job.job_id, job.version).await;
    assert!(matches!(&refused, Err(Error::Unreviewed(said)) if said.contains("line 2")), "{refused:?}");
    let quantity = Decimal::parse("4").expect("a number");
    let line = |line| LineEdit { line, ..LineEdit::default() };
    let mended = Edit { lines: vec![LineEdit { quantity: Some(quantity), ..line(2) }], ..Edit::default() };
    let edited = invoices.edit("ann", job.job_id, job.version, &mended).await.expect("edited");
    assert_eq!(edited.version, job.version + 1);
    let stale = invoices.edit("bob", job.job_id, job.version, &mended).await;
    assert!(matches!(stale, Err(Error::Version { .. })), "bob did not see ann's");
    let stale = invoices.apply("bob", job.job_id, job.version).await;
    assert!(matches!(stale, Err(Error::Version { .. })));
    let nothing = Edit { lines: vec![line(3)], ..Edit::default() };
    assert!(matches!(
        invoices.edit("ann", job.job_id, edited.version, &nothing).await,
        Err(Error::Invalid(_))
    ));
    let applied = invoices.apply("ann", job.job_id, edited.version).await.expect("applied");
    assert_eq!(applied.plan.expect("a plan").facts, 2);
    let late = invoices.edit("ann", job.job_id, applied.version, &mended).await;
    assert!(matches!(late, Err(Error::State { .. })), "what is booked is not edited");
}

#[tokio::test]
async fn what_a_person_said_of_an_item_is_remembered() {
    let ground = Ground::new();
    let job = ground.parsed(vec![invoice("RE-1", 1)]).await;
    let named = LineEdit { line: 1, sku: Some("BINDER".to_owned()), ..LineEdit::default() };
    let edit = Edit { lines: vec![named], ..Edit::default() };
    ground.invoices.edit("ann", job.job_id, job.version, &edit).await.expect("edited");
    let next = ground.parsed(vec![invoice("RE-2", 1)]).await;
    let document = ground.invoices.document(&next).await.expect("a document");
    assert_eq!(document.decisions[0].sku.as_deref(), Some("BINDER"));
    assert!(document.decisions[0].accepted);
}

/// South calls something SKU-1 that acme called so first; neither was booked yet.
#[tokio::test]
async fn a_doubt_outlives_what_is_taken_back_and_what_was_said_does_not() {
    let ground = Ground::new();
    ground.parsed(vec![invoice("RE-1", 1)]).await;
    let mut job = ground.parsed_of("south", vec![invoice("S-1", 1)]).await;
    let edit = async |job: &Job, edit: Edit| {
        ground.invoices.edit("ann", job.job_id, job.version, &edit).await.expect("an edit")
    };
    let line = |change: LineEdit| Edit { lines: vec![LineEdit { line: 1, ..change }], ..Edit::default() };
    let accept = |accept| line(LineEdit { accept: Some(accept), ..LineEdit::default() });
    let exclude = line(LineEdit { exclude: Some("not ours".to_owned()), ..LineEdit::default() });
    let all = Edit { accept_all: true, ..Edit::default() };
    let quantity = line(LineEdit { quantity: Some(Decimal::from(9)), ..LineEdit::default() });
    let is_open = async |job: &Job| {
        let open = ground.invoices.document(job).await.expect("a document").open();
        open.iter().any(|open| open.contains("acme"))
    };
    assert!(is_open(&job).await);
    for (change, open) in [
        (all.clone(), true),
        (quantity, true),
        (accept(true), false),
        (accept(false), true),
        (all, true),
        (accept(true), false),
        (exclude, false),
    ] {
        job = edit(&job, change.clone()).await;
        assert_eq!(is_open(&job).await, open, "{change:?}");
    }
    // Whoever accepts by mistake and then leaves the line out has said nothing of the item.
    let next = ground.parsed_of("south", vec![invoice("S-2", 1)]).await;
    assert!(is_open(&next).await);
    let kept = edit(&next, accept(true)).await;
    assert!(!is_open(&kept).await);
    let last = ground.parsed_of("south", vec![invoice("S-3", 1)]).await;
    let document = ground.invoices.document(&last).await.expect("a document");
    assert_eq!(document.decisions[0].found.as_ref().map(|found| found.by), Some(By::Remembered));
    assert_eq!(document.open(), Vec::<String>::new());
}

/// Nothing is known of the item but what the lines say that are called so by one edit.
#[tokio::test]
async fn lines_of_one_edit_that_count_one_item_in_two_units_wait() {
    let ground = Ground::new();
    let mut said = invoice("RE-1", 3);
    for (line, unit) in said.lines.iter_mut().zip(["EA", "CS", "H87"]) {
        line.unit = Some(unit.to_owned());
    }
    let job = ground.parsed(vec![said]).await;
    let named = |line| LineEdit { line, sku: Some("BINDER".to_owned()), ..LineEdit::default() };
    let edit = Edit { lines: (1..=3).map(named).collect(), ..Edit::default() };
    let job = ground.invoices.edit("ann", job.job_id, job.version, &edit).await.expect("an edit");
    let open = ground.invoices.document(&job).await.expect("a document").open();
    assert!(open.len() == 1 && open[0].contains("line 2") && open[0].contains("in EA"), "{open:?}");
    // The next invoice knows it, too, though nothing was booked.
    let mut next = invoice("RE-2", 1);
    next.lines[0].unit = Some("CS".to_owned());
    let job = ground.parsed(vec![next]).await;
    let open = ground.invoices.document(&job).await.expect("a document").open();
    assert!(open.len() == 1 && open[0].contains("in EA"), "{open:?}");
}

#[tokio::test]
async fn what_was_reversed_can_be_edited_and_applied_anew() {
    let ground = Ground::new();
    let job = ground.applied(vec![invoice("RE-1", 1)]).await;
    let nine = LineEdit { line: 1, quantity: Some(Decimal::from(9)), ..LineEdit::default() };
    let edit = Edit { lines: vec![nine], ..Edit::default() };
    let refused = ground.invoices.edit("ann", job.job_id, job.version, &edit).await;
    assert!(matches!(refused, Err(Error::State { .. })), "what is booked is not edited");
    let job = ground.invoices.reverse("ann", job.job_id, job.version, "miscounted").await.expect("reversed");
    let job = ground.published(&job).await;
    assert_eq!(job.state, State::Reversed);
    let job = ground.invoices.edit("ann", job.job_id, job.version, &edit).await.expect("an edit");
    assert_eq!(job.state, State::Review);
    let job = ground.invoices.apply("ann", job.job_id, job.version).await.expect("applied anew");
    assert_eq!(ground.published(&job).await.state, State::Applied);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_applies_over_two_jobs_with_one_number_one_happens() {
    let ground = Ground::new();
    let mut jobs = Vec::new();
    for number in ["RE 2026/7", "re2026/7"] {
        jobs.push(ground.parsed(vec![invoice(number, 3)]).await);
    }
    let tries = (0..50).map(|at| {
        let (invoices, job) = (ground.invoices.clone(), jobs[at % 2].clone());
        tokio::spawn(async move { invoices.apply("ann", job.job_id, job.version).await })
    });
    let (mut done, mut first) = (Vec::new(), Vec::new());
    for tried in tries.collect::<Vec<_>>() {
        match tried.await.expect("no panic") {
            Ok(job) => done.push(job),
            Err(Error::Applied { first: job, .. }) => first.push(job),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((done.len(), first.len()), (1, 49));
    assert!(first.iter().all(|job| *job == done[0].job_id), "every refusal names the one that did it");
    let (plans, _) = ledger::plans(&*ground.ports.tables, None).await.expect("plans");
    assert_eq!(plans.len(), 1, "one plan was decided");
}

/// Fails one call, on one side of it.
struct FailsAt {
    call: usize,
    seen: AtomicUsize,
}

#[async_trait::async_trait]
impl Policy for FailsAt {
    async fn at(&self, _: Call, _: Moment) -> Verdict {
        if self.seen.fetch_add(1, Ordering::SeqCst) == self.call { Verdict::Never } else { Verdict::Go }
    }
}

/// Does `act` with a process that ends at each call in turn, then with one that lives.
async fn whoever_dies(
    act: impl AsyncFn(&Invoices, &Job) -> Result<Job, Error>,
    prepare: impl AsyncFn(&Ground) -> Job,
) -> usize {
    for call in 0.. {
        let ground = Ground::new();
        let job = prepare(&ground).await;
        let policy = Arc::new(FailsAt { call, seen: AtomicUsize::new(0) });
        let dying = ground.dying(policy.clone());
        let before = ledger::plans(&*ground.ports.tables, None).await.expect("plans").0.len();
        let died = tokio::time::timeout(Duration::from_secs(60), act(&dying, &job)).await.is_err();
        let ended = act(&ground.invoices, &job).await;
        let now = store::get(&*ground.ports.tables, job.job_id).await.expect("the job");
        assert_eq!(now.state, State::Applying, "call {call}: {ended:?}");
        let plans = ledger::plans(&*ground.ports.tables, None).await.expect("plans").0;
        assert_eq!(plans.len(), before + 1, "call {call}: one plan");
        assert!(
            plans.iter().any(|noted| Some(&noted.plan) == now.plan.as_ref()),
            "call {call}: the job's own"
        );
        if !died {
            return call;
        }
    }
    unreachable!("every call was tried")
}

#[tokio::test(start_paused = true)]
async fn wherever_an_apply_dies_there_is_one() {
    let calls = whoever_dies(
        async |invoices, job| invoices.apply("ann", job.job_id, job.version).await,
        async |ground| ground.parsed(vec![invoice("RE-1", 3)]).await,
    )
    .await;
    assert!(calls > 10, "{calls} calls were broken off");
}

#[tokio::test(start_paused = true)]
async fn wherever_a_reversal_dies_there_is_one() {
    let calls = whoever_dies(
        async |invoices, job| invoices.reverse("ann", job.job_id, job.version, "sent twice").await,
        async |ground| ground.applied(vec![invoice("RE-1", 3)]).await,
    )
    .await;
    assert!(calls > 10, "{calls} calls were broken off");
}

#[tokio::test]
async fn a_reversal_frees_what_was_claimed() {
    let ground = Ground::new();
    let job = ground.applied(vec![invoice("RE-1", 3)]).await;
    let other = ground.parsed(vec![invoice("RE-1", 3)]).await;
    let invoices = &ground.invoices;
    let refused = invoices.apply("ann", other.job_id, other.version).await;
    assert!(matches!(refused, Err(Error::Applied { first, .. }) if first == job.job_id));
    assert!(matches!(invoices.reverse("ann", job.job_id, job.version, " ").await, Err(Error::Invalid(_))));
    let turned = invoices.reverse("ann", job.job_id, job.version, "sent twice").await.expect("taken back");
    assert_eq!(turned.plan.as_ref().map(|plan| plan.way), Some(Way::Reverse));
    let again = invoices.reverse("ann", job.job_id, turned.version, "sent twice").await;
    assert!(matches!(again, Err(Error::State { .. })), "once");
    invoices.apply("ann", other.job_id, other.version).await.expect("its number is free");
    let reversed = ground.published(&turned).await;
    assert_eq!(reversed.state, State::Reversed);
    let refused = invoices.apply("ann", job.job_id, reversed.version).await;
    assert!(matches!(refused, Err(Error::Applied { first, .. }) if first == other.job_id));
}

#[tokio::test]
async fn other_bytes_than_those_parsed_are_not_applied() {
    let ground = Ground::new();
    let job = ground.parsed(vec![invoice("RE-1", 1)]).await;
    ground.replace(&job, b"<another/>").await;
    let refused = ground.invoices.apply("ann", job.job_id, job.version).await;
    assert!(matches!(refused, Err(Error::OtherBytes(_))), "{refused:?}");
    let (plans, _) = ledger::plans(&*ground.ports.tables, None).await.expect("plans");
    assert!(plans.is_empty());
}

#[tokio::test]
async fn a_log_tells_every_version() {
    let ground = Ground::new();
    let job = ground.applied(vec![invoice("RE-1", 1)]).await;
    let events = store::events(&*ground.ports.tables, job.job_id).await.expect("a log");
    let told: Vec<_> = events.iter().map(|event| (event.version, event.action.as_str())).collect();
    let wanted = [
        "invoice.announce",
        "invoice.submit",
        "invoice.parse",
        "invoice.read",
        "invoice.apply",
        "invoice.published",
    ];
    assert_eq!(told, (1..).zip(wanted).collect::<Vec<_>>());
}
