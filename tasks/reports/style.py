"""The look of a page for reviewers: one style sheet, inside the page, and no script."""

CSS = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.2rem 1.5rem 3rem; max-width: 68rem; color: #1d2228;
  background: #fff; font: 15px/1.45 system-ui, "Segoe UI", "DejaVu Sans", Arial, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 1px solid #d5dae1; }
h3 { font-size: 1rem; margin: 1.2rem 0 .4rem; }
p { margin: .4rem 0 .7rem; }
a { color: #1f5fa8; }
.lead { color: #4a525c; }
.verdict { border-left: .45rem solid #8a8f98; background: #f3f5f8; padding: .6rem 1rem;
  margin: .8rem 0; }
.verdict strong { font-size: 1.15rem; }
.verdict ul { margin: .3rem 0 0; padding-left: 1.2rem; }
.good { border-color: #1c7c4a; } .bad { border-color: #b3261e; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: .7rem;
  margin: .8rem 0; padding: 0; list-style: none; }
.tiles li { border: 1px solid #d5dae1; border-radius: .4rem; padding: .5rem .8rem; }
.tiles b { display: block; font-size: 1.3rem; font-variant-numeric: tabular-nums;
  overflow-wrap: anywhere; }
.tiles span { color: #4a525c; font-size: .88rem; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: .5rem 0 1rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: #4a525c; padding-bottom: .3rem; }
th, td { padding: .25rem .55rem; border-bottom: 1px solid #e4e8ed; text-align: left;
  vertical-align: top; overflow-wrap: break-word; max-width: 34rem; }
tbody th { min-width: 9rem; }
thead th { border-bottom: 2px solid #aab2bd; }
td.number, th.number { text-align: right; white-space: nowrap; }
td.word { white-space: nowrap; }
tr.worse td:last-child { color: #b3261e; font-weight: 600; }
tr.better td:last-child { color: #1c7c4a; font-weight: 600; }
tr.few { color: #6a727c; }
img { max-width: 100%; height: auto; }
img.thumbnail { image-rendering: pixelated; border: 1px solid #d5dae1; }
code { background: #f3f5f8; padding: 0 .25em; overflow-wrap: anywhere; }
.words { line-height: 1.9; overflow-wrap: anywhere; }
.words mark { color: inherit; padding: .1em .05em; border-radius: .2em; }
.words mark.against { text-decoration: underline dotted #b3261e; }
"""
