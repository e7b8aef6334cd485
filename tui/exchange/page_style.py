"""How a page looks: Palaver's colours, by day or by night as the reader's screen is set, and on paper."""

STYLE = """
:root {
  color-scheme: dark light;
  --back: #121212; --surface: #1b1b1b; --panel: #202a31; --line: #30383f;
  --text: #e0e0e0; --muted: #9aa3aa; --faint: #6d767d;
  --primary: #4aa8ef; --accent: #ffa62b; --success: #4ebf71; --error: #e0708c; --warning: #ffa62b;
  --mono: ui-monospace, "SF Mono", "Cascadia Code", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif;
}
@media (prefers-color-scheme: light) {
  :root {
    --back: #fafafa; --surface: #f0f1f2; --panel: #eceff1; --line: #d5d9dc;
    --text: #1f2428; --muted: #59636b; --faint: #7b858c;
    --primary: #00589c; --accent: #8f5200; --success: #1c6f3a; --error: #a62246; --warning: #8f5200;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 52rem;
  background: var(--back); color: var(--text); font: 1rem/1.6 var(--sans); overflow-wrap: break-word;
}
header { border-bottom: 1px solid var(--line); margin-bottom: 1.5rem; padding-bottom: .75rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .4rem; color: var(--text); }
.facts, .when, footer { color: var(--muted); font-size: .85rem; margin: 0; }
a { color: var(--primary); text-underline-offset: .15em; text-decoration-thickness: 1px; }
a:focus-visible, summary:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 2px; }
a.dead { color: inherit; text-decoration: line-through; }
nav { margin: 0 0 2rem; padding: .6rem 1rem; background: var(--surface); border-radius: 6px; font-size: .92rem; }
nav summary { font-weight: 600; }
nav ol { margin: .5rem 0 .2rem; padding-left: 2.2rem; columns: 20rem auto; column-gap: 2rem; }
nav li { break-inside: avoid; padding: .08rem 0; color: var(--faint); }
nav a { text-decoration: none; }
nav a:hover { text-decoration: underline; }
summary { cursor: pointer; }
article { margin: 0 0 2.5rem; scroll-margin-top: 1rem; }
.prompt img { display: block; max-width: 100%; max-height: 24rem; margin-top: .6rem; border-radius: 4px; }
.prompt {
  position: relative; background: var(--surface); border-left: 3px solid var(--primary);
  border-radius: 0 6px 6px 0; padding: .75rem 1rem; margin-bottom: 1rem;
}
.prompt .said { white-space: pre-wrap; tab-size: 4; }
.prompt .number {
  position: absolute; right: .8rem; top: .6rem; color: var(--faint); font-size: .8rem; text-decoration: none;
}
.prompt .said { padding-right: 2rem; }
.prompt .file { color: var(--muted); font-size: .92rem; margin-top: .5rem; }
.prompt .file > pre { max-height: 32rem; overflow-y: auto; color: var(--text); margin: .4rem 0 0; }
.prompt .facts { margin-top: .3rem; }
.answer > details + .prose { margin-top: 1.1rem; }
.answer { padding: 0 0 0 calc(1rem + 3px); }
.prose > :first-child { margin-top: 0; }
.prose > :last-child { margin-bottom: .6rem; }
.prose h1, .prose h2, .prose h3, .prose h4, .prose h5, .prose h6 {
  color: var(--primary); line-height: 1.3; margin: 1.6rem 0 .6rem; font-size: 1rem;
}
.prose h1 { font-size: 1.35rem; } .prose h2 { font-size: 1.2rem; } .prose h3 { font-size: 1.08rem; }
.prose p, .prose ul, .prose ol, .prose blockquote, .prose table, pre { margin: .8rem 0; }
.prose ul, .prose ol { padding-left: 1.6rem; }
.prose li > p { margin: .3rem 0; }
.prose li.task { list-style: none; margin-left: -1.1rem; }
.prose blockquote {
  border-left: 3px solid var(--line); color: var(--muted); font-style: italic; padding-left: 1rem; margin-left: 0;
}
.prose hr { border: 0; border-top: 1px solid var(--line); margin: 1.6rem 0; }
.prose table { border-collapse: collapse; display: block; max-width: 100%; overflow-x: auto; font-size: .93rem; }
.prose th, .prose td { border: 1px solid var(--line); padding: .35rem .7rem; text-align: left; vertical-align: top; }
.prose th { background: var(--surface); font-weight: 600; }
code { font: .88em/1.5 var(--mono); }
:not(pre) > code {
  background: var(--panel); color: var(--accent); border-radius: 3px; padding: .1em .35em; overflow-wrap: anywhere;
}
pre { background: var(--panel); border-radius: 6px; padding: .8rem 1rem; overflow-x: auto; position: relative; tab-size: 4; }
pre.plain, details > pre { white-space: pre-wrap; overflow-wrap: anywhere; font: .88em/1.5 var(--mono); }
pre[data-language]::before {
  content: attr(data-language); display: block; color: var(--faint); font: .75rem/1 var(--sans); margin-bottom: .6rem;
}
.answer > details { margin: .5rem 0; color: var(--muted); font-size: .92rem; }
.answer > details > summary { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.answer > details[open] > summary { white-space: normal; }
.answer > details > pre { max-height: 32rem; overflow-y: auto; color: var(--text); }
.reasoning > .prose { border-left: 2px solid var(--line); padding-left: 1rem; font-style: italic; }
.tool-call > summary, .tool-result > summary, .approval > summary { color: var(--success); }
.failed > summary, .denied > summary { color: var(--error); }
.hint { color: var(--faint); font: .85em var(--mono); }
.notice { color: var(--warning); font-size: .92rem; margin: .4rem 0; }
.ending { color: var(--error); font-size: .92rem; margin: .6rem 0 0; }
.when { margin-top: .6rem; color: var(--faint); }
footer { border-top: 1px solid var(--line); margin-top: 3rem; padding-top: .75rem; }
.k, .kd, .kn, .kp, .kr, .kt, .ow, .nt { color: var(--primary); font-weight: 600; }
.kc, .nd, .m, .mb, .mf, .mh, .mi, .mo, .il, .l, .ld { color: var(--accent); }
.nf, .fm, .na, .nc, .ne { color: var(--warning); }
.s, .s1, .s2, .sa, .sb, .sc, .dl, .sd, .se, .sh, .si, .sx, .sr, .ss, .gi { color: var(--success); }
.c, .c1, .ch, .cm, .cp, .cpf, .cs, .gp { color: var(--muted); font-style: italic; }
.gd, .gr, .err { color: var(--error); }
.gh { font-weight: 600; }
@media (max-width: 40rem) {
  body { padding: 1.25rem .9rem 3rem; }
  .answer { padding-left: .3rem; }
}
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
@media print {
  :root {
    --back: #fff; --surface: #f4f4f4; --panel: #f4f4f4; --line: #ccc; --text: #000; --muted: #444; --faint: #666;
    --primary: #00477e; --accent: #6b3d00; --success: #14532b; --error: #8a1a38; --warning: #6b3d00;
  }
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav { display: none; }
  .prompt, pre, table { break-inside: avoid; }
  pre, .answer > details > pre { white-space: pre-wrap; max-height: none; }
}
"""
