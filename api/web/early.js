// Before anything is painted: the appearance that was chosen in this browser (look.js). A script of its own, since
// modules wait for the whole document. Storage may be refused.
{
  const root = document.documentElement;
  try {
    if (localStorage.getItem("lobar-theme") === "light") root.dataset.theme = "light";
    if (localStorage.getItem("lobar-density") === "dense") root.dataset.density = "dense";
  } catch {
    // The page looks as it does at first.
  }
}
