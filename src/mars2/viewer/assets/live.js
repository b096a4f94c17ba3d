// Following a run: asks the local server for the records that have come since.

const EVERY = 500; // milliseconds
const PATIENCE = 4000; // while the server does not answer

/** Calls `take(records)` with what is new, and `state(text)` with how that goes, for ever. */
export function follow(take, state) {
  let from = 0;
  let life = null;
  async function ask() {
    let wait = EVERY;
    try {
      const answer = await fetch(`records?from=${from}&life=${life ?? ""}`, { cache: "no-store" });
      if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
      const { records, next, life: now, more, state: said } = await answer.json();
      if (life !== null && now !== life) {
        // Another journal lies there, or another server: what is here is of the old one.
        location.reload();
        return;
      }
      [from, life] = [next, now];
      if (records.length) take(records);
      state(said);
      if (more) wait = 0;
    } catch (error) {
      state(`no connection (${error.message}); is mars2 view still running?`);
      wait = PATIENCE;
    }
    setTimeout(ask, wait);
  }
  ask();
}
