// theme.js - dark, light, or as the system says. Runs before the first paint, so that nothing flashes.
'use strict';

(() => {
  const kinds = ['auto', 'dark', 'light'];
  const words = { auto: 'as the system', dark: 'dark', light: 'light' };
  let kind = 'auto';
  try {
    kind = kinds.includes(localStorage.getItem('theme')) ? localStorage.getItem('theme') : 'auto';
  } catch {
    // A browser that stores nothing: the choice lasts as long as the page.
  }

  function apply() {
    document.documentElement.dataset.theme = kind;
    const button = document.getElementById('theme');
    if (!button)
      return;
    button.textContent = kind[0].toUpperCase() + kind.slice(1);
    button.setAttribute('aria-label', `Colours: ${words[kind]}`);
  }

  apply();
  document.addEventListener('DOMContentLoaded', () => {
    apply();
    document.getElementById('theme').addEventListener('click', () => {
      kind = kinds[(kinds.indexOf(kind) + 1) % kinds.length];
      try {
        localStorage.setItem('theme', kind);
      } catch {
        // As above.
      }
      apply();
    });
  });
})();
