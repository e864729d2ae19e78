// How the page looks: dark for the reading room or light for the office, and how close the rows stand. The choice stays
// in this browser, and is no secret.

import { byId } from "./elements.js";

/** @typedef {"theme" | "density"} Choice */

/** What each may be, as it is at first and otherwise, with the words of the button that changes it. @type {Record<Choice, [string, string, string, string]>} */
const CHOICES = {
  theme: ["dark", "light", "Light", "Dark"],
  density: ["comfortable", "dense", "Dense rows", "Roomy rows"],
};

/** @param {Choice} choice @param {string} value */
function keep(choice, value) {
  try {
    if (value === CHOICES[choice][0]) localStorage.removeItem(`lobar-${choice}`);
    else localStorage.setItem(`lobar-${choice}`, value);
  } catch {
    // A browser that keeps nothing shows the page as at first the next time.
  }
}

/** @param {Choice} choice */
function draw(choice) {
  const [first, , other, back] = CHOICES[choice];
  byId(choice).textContent = document.documentElement.dataset[choice] === first ? other : back;
}

/** Makes the buttons work. @param {() => void} changed is called when rows have another height */
export function setUpLook(changed) {
  for (const choice of /** @type {Choice[]} */ (Object.keys(CHOICES))) {
    const [first, second] = CHOICES[choice];
    draw(choice);
    byId(choice).addEventListener("click", () => {
      const { dataset } = document.documentElement;
      dataset[choice] = dataset[choice] === first ? second : first;
      keep(choice, dataset[choice]);
      draw(choice);
      changed();
    });
  }
}
