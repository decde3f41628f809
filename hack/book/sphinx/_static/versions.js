// The choice of a version. `bailiwickVersions` is set by the file versions.js beside the folders of the versions.
// A script and no request, since a page that is opened as a file may make none.
document.addEventListener("DOMContentLoaded", () => {
  const versions = window.bailiwickVersions || [];
  for (const label of document.querySelectorAll(".book-versions")) {
    const select = label.querySelector("select");
    const { here, root } = select.dataset;
    for (const version of versions) {
      select.add(new Option(version, version, version === here, version === here));
    }
    select.addEventListener("change", () => {
      window.location.href = new URL(`${root}../${select.value}/docs/README.html`, window.location.href).href;
    });
    label.hidden = versions.length < 2;
  }
});
