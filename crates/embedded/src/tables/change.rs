//! Writes: prepared where they are asked for, applied in the store's transaction.
//!
//! A transaction of the store is shared with other writes, so everything is checked before anything is
//! written.

use ports::tables::{Change, Condition, Edit, Error, Item, Key, MAX_TRANSACTION, Table, Write, check, size};
use redb::{ReadableTable, WriteTransaction};

use super::tokens::{Happened, Print, Tokens};
use super::trees::Tree;
use super::{damaged, decide, keys, rows};

type Applied = Result<Result<(), Error>, redb::Error>;

/// A write that has passed every check that needs no row.
pub(super) struct Prepared {
    /// Which of the store's tables.
    pub tree: usize,
    /// The row.
    pub key: Key,
    /// Its place in the tree.
    pub place: Vec<u8>,
    /// When it may happen.
    pub condition: Condition,
    /// What happens.
    pub action: Action,
}

/// What a prepared write does.
pub(super) enum Action {
    /// Replaces the row.
    Put(Image),
    /// Edits the row.
    Edit(Vec<Edit>),
    /// Removes the row.
    Delete,
    /// Nothing.
    Check,
}

/// A row as the trees hold it.
pub(super) struct Image {
    /// Encoded.
    pub row: Vec<u8>,
    /// Its keys in the table's indexes, in their order.
    indexed: Vec<Option<Vec<u8>>>,
    size: usize,
}

impl Prepared {
    /// Checks and encodes a write.
    pub(super) fn of(tree: usize, table: &'static Table, write: Write) -> Result<Self, Error> {
        let Write { key, condition, change, .. } = write;
        check::key(table, &key)?;
        let place = keys::of_row(&key);
        let action = match change {
            Change::Put(item) => Action::Put(Image::of(table, &key, &place, &item)?),
            Change::Edit(edits) => {
                check::edits(table, &edits)?;
                Action::Edit(edits)
            }
            Change::Delete => Action::Delete,
            Change::Check => Action::Check,
        };
        Ok(Self { tree, key, place, condition, action })
    }
}

impl Image {
    fn of(table: &Table, key: &Key, place: &[u8], item: &Item) -> Result<Self, Error> {
        let size = size(key, item);
        check::row(table, size, item)?;
        Ok(Self { row: rows::encode(item), indexed: indexed(table, place, item), size })
    }
}

fn indexed(table: &Table, place: &[u8], item: &Item) -> Vec<Option<Vec<u8>>> {
    table.indexes.iter().map(|index| keys::of_index(index, place, item)).collect()
}

/// One write.
pub(super) fn write(transaction: &WriteTransaction, trees: &[Tree], write: Prepared) -> Applied {
    let mut opened = Opened::new(transaction, trees);
    match plan(&mut opened, vec![write])? {
        Ok(steps) => opened.apply(steps).map(Ok),
        Err(error) => Ok(Err(error)),
    }
}

/// Several writes, once a token.
pub(super) fn transact(
    transaction: &WriteTransaction,
    trees: &[Tree],
    tokens: &mut Tokens,
    print: &Print,
    now: u64,
    writes: Vec<Prepared>,
) -> Applied {
    let mut log = tokens.open(transaction)?;
    match log.happened(print)? {
        Happened::No => {}
        Happened::Yes => return Ok(Ok(())),
        Happened::WithOtherWrites => {
            return Ok(Err(Error::Invalid("the token is of other writes".to_owned())));
        }
    }
    let mut opened = Opened::new(transaction, trees);
    let steps = match plan(&mut opened, writes)? {
        Ok(steps) => steps,
        Err(error) => return Ok(Err(error)),
    };
    opened.apply(steps)?;
    log.remember(print, now)?;
    Ok(Ok(()))
}

/// A write whose condition holds: the row's keys in the indexes before, and the row after.
struct Step {
    tree: usize,
    place: Vec<u8>,
    /// `None`: there was no row.
    before: Option<Vec<Option<Vec<u8>>>>,
    after: After,
}

enum After {
    Row(Image),
    Nothing,
    Same,
}

/// Evaluates conditions and edits; writes nothing.
fn plan(opened: &mut Opened<'_>, writes: Vec<Prepared>) -> Result<Result<Vec<Step>, Error>, redb::Error> {
    let mut failures: Vec<Option<Item>> = Vec::with_capacity(writes.len());
    let mut held = Vec::with_capacity(writes.len());
    for write in writes {
        let Ok(row) = opened.row(write.tree, &write.place)? else {
            return Ok(Err(damaged(opened.trees[write.tree].table)));
        };
        if decide::holds(&write.condition, row.as_ref()) {
            failures.push(None);
            held.push((write, row));
        } else {
            failures.push(Some(row.unwrap_or_default()));
        }
    }
    if held.len() < failures.len() {
        return Ok(Err(Error::Condition(failures)));
    }
    let steps = held.into_iter().map(|(write, row)| step(opened.trees, write, row));
    let steps = match steps.collect::<Result<Vec<_>, _>>() {
        Ok(steps) => steps,
        Err(error) => return Ok(Err(error)),
    };
    let bytes: usize =
        steps.iter().map(|step| if let After::Row(image) = &step.after { image.size } else { 0 }).sum();
    if bytes > MAX_TRANSACTION {
        let message = format!("a transaction of {bytes} bytes; at most {MAX_TRANSACTION} are taken");
        return Ok(Err(Error::Invalid(message)));
    }
    Ok(Ok(steps))
}

fn step(trees: &[Tree], write: Prepared, row: Option<Item>) -> Result<Step, Error> {
    let Prepared { tree, key, place, action, .. } = write;
    let table = trees[tree].table;
    let before = row.as_ref().map(|item| indexed(table, &place, item));
    let after = match action {
        Action::Put(image) => After::Row(image),
        Action::Edit(edits) => {
            let item = decide::edited(row.unwrap_or_default(), edits)?;
            After::Row(Image::of(table, &key, &place, &item)?)
        }
        Action::Delete => After::Nothing,
        Action::Check => After::Same,
    };
    Ok(Step { tree, place, before, after })
}

type Rows<'a> = redb::Table<'a, &'static [u8], &'static [u8]>;
type Keys<'a> = redb::Table<'a, &'static [u8], ()>;

/// Trees that are open for writing, each opened when it is first needed.
struct Opened<'a> {
    transaction: &'a WriteTransaction,
    trees: &'a [Tree],
    rows: Vec<Option<Rows<'a>>>,
    keys: Vec<Vec<Option<Keys<'a>>>>,
}

impl<'a> Opened<'a> {
    fn new(transaction: &'a WriteTransaction, trees: &'a [Tree]) -> Self {
        let rows = trees.iter().map(|_| None).collect();
        let keys = trees.iter().map(|_| Vec::new()).collect();
        Self { transaction, trees, rows, keys }
    }

    fn rows(&mut self, tree: usize) -> Result<&mut Rows<'a>, redb::Error> {
        let place = &mut self.rows[tree];
        Ok(match place {
            Some(rows) => rows,
            None => place.insert(self.transaction.open_table(self.trees[tree].rows())?),
        })
    }

    fn keys(&mut self, tree: usize, index: usize) -> Result<&mut Keys<'a>, redb::Error> {
        let places = &mut self.keys[tree];
        if places.len() <= index {
            places.resize_with(index + 1, || None);
        }
        let place = &mut places[index];
        Ok(match place {
            Some(keys) => keys,
            None => place.insert(self.transaction.open_table(self.trees[tree].index(index))?),
        })
    }

    /// A row as it is; `Err(())` where it cannot be read.
    fn row(&mut self, tree: usize, place: &[u8]) -> Result<Result<Option<Item>, ()>, redb::Error> {
        let Some(row) = self.rows(tree)?.get(place)? else { return Ok(Ok(None)) };
        Ok(rows::decode(row.value()).map(Some).ok_or(()))
    }

    fn apply(&mut self, steps: Vec<Step>) -> Result<(), redb::Error> {
        for Step { tree, place, before, after } in steps {
            match after {
                After::Same => {}
                After::Nothing if before.is_none() => {}
                After::Nothing => {
                    self.rows(tree)?.remove(place.as_slice())?;
                    self.move_keys(tree, &before.unwrap_or_default(), &[])?;
                }
                After::Row(image) => {
                    self.rows(tree)?.insert(place.as_slice(), image.row.as_slice())?;
                    self.move_keys(tree, &before.unwrap_or_default(), &image.indexed)?;
                }
            }
        }
        Ok(())
    }

    /// Brings every index from a row's keys before to those after; an empty list stands for no row.
    fn move_keys(
        &mut self,
        tree: usize,
        before: &[Option<Vec<u8>>],
        after: &[Option<Vec<u8>>],
    ) -> Result<(), redb::Error> {
        for index in 0..self.trees[tree].table.indexes.len() {
            let [before, after] = [before, after].map(|keys| keys.get(index).and_then(Option::as_deref));
            if before == after {
                continue;
            }
            let keys = self.keys(tree, index)?;
            if let Some(before) = before {
                keys.remove(before)?;
            }
            if let Some(after) = after {
                keys.insert(after, ())?;
            }
        }
        Ok(())
    }
}
