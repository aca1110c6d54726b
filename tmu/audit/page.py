"""The report page: one HTML file that needs nothing else, for screen (light and dark) and paper."""

from markupsafe import Markup

TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{{ title }}</title>
<style>
:root { color-scheme: light dark; --ink: #1f2328; --quiet: #59636e; --page: #fff; --card: #f6f8fa; --line: #d1d9e0;
  --pass: #0b6e4f; --fail: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --quiet: #9aa4af; --page: #14181d; --card: #1d232a;
  --line: #38414b; --pass: #4cc38a; --fail: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 68rem; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; }
p.quiet, caption, figcaption { color: var(--quiet); font-size: .875rem; }
.verdict { border: 1px solid var(--line); border-left: .4rem solid var(--tone); border-radius: .5rem;
  background: var(--card); padding: 1rem 1.25rem; margin: 1.5rem 0; }
.verdict.passed { --tone: var(--pass); } .verdict.failed { --tone: var(--fail); }
.verdict.inconclusive { --tone: var(--quiet); }
.verdict strong { color: var(--tone); font-size: 1.15rem; }
.verdict ul { margin: .5rem 0 0; padding-left: 1.2rem; } .verdict li { margin: .25rem 0; }
.verdict li.failed { color: var(--fail); } .verdict li.inconclusive { color: var(--quiet); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; caption-side: bottom; padding-top: .5rem; }
th, td { text-align: right; padding: .4rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th:first-child, td:first-child { text-align: left; }
thead th { border-bottom: 2px solid var(--quiet); vertical-align: bottom; }
tbody th { font-weight: 600; }
td span { display: block; color: var(--quiet); font-size: .78rem; white-space: nowrap; }
tbody th span { display: block; font-weight: 400; color: var(--quiet); font-size: .8rem; max-width: 24rem; }
tr.judged > * { background: var(--card); } tr.floor > *, td.floor { font-style: italic; }
figure { margin: 1.25rem 0; } figure img { display: block; width: 100%; max-width: 54rem; background: #fff;
  border: 1px solid var(--line); border-radius: .5rem; padding: .75rem; }
dl { display: grid; grid-template-columns: minmax(9rem, max-content) 1fr; gap: .2rem 1rem; font-size: .875rem; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere;
  font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
@media print { :root { color-scheme: light; --ink: #000; --quiet: #444; --page: #fff; --card: #f4f4f4; --line: #bbb;
  --pass: #0b6e4f; --fail: #b3261e; } @page { margin: 15mm; } body { padding: 0; max-width: none; font-size: 10.5pt; }
  table { font-size: 7.5pt; } th, td { padding: .2rem .3rem; } td span { white-space: normal; }
  .scroll { overflow: visible; } .verdict, figure, tr { break-inside: avoid; } h2 { break-after: avoid; } }
</style>
</head>
<body>
<header>
<h1>{{ title }}</h1>
<p class="quiet">{{ caption }}</p>
</header>
<main>
<section class="verdict {{ verdict.outcome }}">
<strong>{{ row }}: {{ verdict.outcome }}</strong>{% if sentence %}
<p>{{ sentence }}</p>{% endif %}
<ul>{% for reason in verdict.reasons %}
<li class="{{ reason.partition(':')[0] }}">{{ reason }}</li>{% endfor %}
</ul>
</section>

<h2>The models side by side</h2>
<div class="scroll"><table>
<caption>{{ table_caption }}</caption>
<thead><tr><th scope="col">model</th>{% for each in headline %}<th scope="col">{{ each.header }}</th>{% endfor %}
<th scope="col">{{ seconds_header }}</th></tr></thead>
<tbody>{% for each in rows %}
<tr{% if each.name == row %} class="judged"{% endif %}><th scope="row">{{ each.name }}</th>
{% for metric in headline %}{{ cell(each.cells[metric.name]) }}{% endfor %}<td>{{ each.seconds }}</td></tr>{% endfor %}
{% if has_floor %}<tr class="floor"><th scope="row">noise floor</th>
{% for metric in headline %}{{ cell(floor[metric.name]) }}{% endfor %}<td>–</td></tr>
{% endif %}</tbody></table></div>
{% if old_versions %}<p><strong>Both models together.</strong> {{ old_versions }}</p>
{% endif %}{% if people %}
<h2>Evidence per person</h2>
<p><strong>{{ 'Nobody stands out' if people.passed else 'Some persons stand out' }}:</strong> {{ people.reason }}</p>
<div class="scroll"><table>
<caption>{{ people.caption }}</caption>
<thead><tr><th scope="col">person (place)</th><th scope="col">records (number)</th>
{% for name in people.head %}<th scope="col">{{ name }}</th>{% endfor %}</tr></thead>
<tbody>{% for each in people.rows %}
<tr><th scope="row">{{ each.person }}</th><td>{{ each.records }}</td>
{% for one in each.cells %}{{ cell(one) }}{% endfor %}</tr>{% endfor %}
</tbody></table></div>
{% endif %}
{% if figures %}<h2>Figures</h2>
{% endif %}{% for each in figures %}<figure><img alt="{{ each.alt }}" src="{{ each.source }}">
<figcaption>{{ each.alt }}</figcaption></figure>
{% endfor %}
<h2>All numbers</h2>
<div class="scroll"><table>
<thead><tr><th scope="col">number (unit) and direction</th>
{% if has_floor %}<th scope="col">noise floor</th>{% endif %}
{% for each in rows %}<th scope="col">{{ each.name }}</th>{% endfor %}</tr></thead>
<tbody>{% for metric in metrics %}
<tr><th scope="row">{{ metric.header }}<span>{{ metric.meaning }}</span></th>
{% if has_floor %}{{ cell(floor[metric.name]) }}{% endif %}
{% for each in rows %}{{ cell(each.cells[metric.name]) }}{% endfor %}</tr>{% endfor %}
</tbody></table></div>
{% if predictor %}
<h2>The easy / hard predictor</h2>
<dl>{% for name, value in predictor %}<dt>{{ name }}</dt><dd>{{ value }}</dd>{% endfor %}</dl>
{% endif %}
<h2>What this audit shows, and what it does not</h2>
<ul>{% for each in limits %}
<li>{{ each }}</li>{% endfor %}
</ul>

<h2>Provenance</h2>
<dl>{% for name, value in provenance %}<dt>{{ name }}</dt><dd>{{ value }}</dd>{% endfor %}</dl>
</main>
</body>
</html>
"""

TABLE_CAPTION = Markup(
    "Small: 95 % interval over records. ↓ lower is better, ↑ higher is better, → gold: the gold's number is the aim. "
    "<b>gold</b> was retrained without the forgotten records, every further gold is an independent retrain; the "
    "<b>noise floor</b> is what they score against each other, with the farthest ends of their intervals; "
    "<b>original</b> is what doing nothing scores. Every row is compared with equally many golds."
)

LIMITS = (
    "Shown: how near this model's answers on these records are to those of models retrained without them, and whether "
    "the difference is larger than between two such retrains.",
    "Not shown: that no trace is left in the weights. Unlearning is approximate; only a retrain excludes the records "
    "by construction.",
    "Not shown: resistance to an attacker with many shadow models in and out of every record. RMIA and LiRA here have "
    "the golds as their few references, and understate what such an attacker finds.",
    "Inner layers are tested with a fresh last layer on the model's body. A trace that is not linear in the last "
    "features, or lies in earlier layers alone, escapes it.",
    "A difference inside the noise floor means not distinguishable at this size, not equal.",
    "Intervals say what other records of the same kind would have given. What another training seed would have given "
    "is shown by the golds, and only roughly where there are few.",
    "Models in older backups, caches or other people's hands are outside this audit.",
)
