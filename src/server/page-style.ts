/** What the status page looks like. */

export const STYLE = `
:root {
  --back: #f6f7f9; --card: #fff; --text: #1b1f24; --soft: #5a6472; --line: #dde1e7;
  --accent: #1766c2; --full: #1766c2; --idle: #3d9a5f; --timeout: #c27c17; --drain: #8a63c9;
  --good: #1f7a44; --bad: #b3261e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #14171b; --card: #1d2127; --text: #e6e9ee; --soft: #9aa5b4; --line: #323943;
    --accent: #6cb0ff; --full: #6cb0ff; --idle: #63c58a; --timeout: #e3aa55; --drain: #b795ef;
    --good: #63c58a; --bad: #ff8a80;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 76rem; padding: 1rem; background: var(--back); color: var(--text);
  font: 15px/1.45 system-ui, sans-serif; font-variant-numeric: tabular-nums;
}
header { display: flex; flex-wrap: wrap; gap: 0 1rem; align-items: baseline; }
h1 { font-size: 1.3rem; margin: 0; }
h2 { font-size: 1.1rem; margin: 0; overflow-wrap: anywhere; }
p { margin: .25rem 0; overflow-wrap: anywhere; }
a { color: var(--accent); }
footer, .soft { color: var(--soft); font-size: .85rem; }
#server.bad, .bad { color: var(--bad); }
#models { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr)); gap: 1rem;
  margin: 1rem 0; }
article { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: 1rem;
  min-width: 0; }
.head { display: flex; flex-wrap: wrap; gap: .5rem; align-items: baseline; justify-content: space-between; }
.state { font-size: .8rem; border: 1px solid currentColor; border-radius: 1rem; padding: 0 .6rem; }
.state.READY { color: var(--good); }
.state.UNAVAILABLE { color: var(--bad); }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(7rem, 1fr)); gap: .5rem 1rem;
  margin: .75rem 0; }
dt { color: var(--soft); font-size: .8rem; }
dd { margin: 0; font-size: 1.1rem; font-weight: 600; }
svg { display: block; width: 100%; height: 3rem; color: var(--accent); }
.bar { display: grid; grid-template-columns: 3rem 1fr 5rem; gap: .5rem; align-items: center;
  font-size: .85rem; }
.bar span:first-child, .bar span:last-child { text-align: right; }
.track { display: flex; height: .8rem; background: var(--line); border-radius: .2rem; overflow: hidden; }
.full { background: var(--full); }
.idle { background: var(--idle); }
.timeout { background: var(--timeout); }
.drain { background: var(--drain); }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1rem; font-size: .85rem; margin: .4rem 0; }
.legend i { display: inline-block; width: .7rem; height: .7rem; border-radius: .15rem; margin-right: .3rem; }
`;
