/* Puts the page together. */

function describe() {
  byId("title").textContent = recording.title;
  byId("subtitle").textContent = recording.subtitle;
  byId("subtitle").hidden = !recording.subtitle;
  const most = Math.max(...recording.sides.flatMap((side) => side.layers.map((layer) => layer.most)));
  const error = recording.bits === 16 ? 0.00002 : 0.004;
  byId("exactness").textContent = `Weights are kept in ${recording.bits} bits on a square-root scale: ` +
    `exact to ${Number((error * Math.max(1, most)).toPrecision(1))}, small ones closer.`;
}

describe();
readAddress();
buildControls();
setUpReading();
setUpHeadView();
setUpMatrixView();
setUpModelView();
setUpChart();
addEventListener("hashchange", () => {
  readAddress();
  update({});
});
update({});
